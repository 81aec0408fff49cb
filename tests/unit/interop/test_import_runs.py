"""The import itself, on runs that no file holds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from mitorch_service.interop import import_runs as module
from mitorch_service.interop.foreign_run import Ending, ForeignRun, FoundRun
from mitorch_service.interop.import_runs import ImportReport, import_options, import_runs
from mitorch_service.interop.registry import System
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore


@pytest.fixture
def store() -> Store:
    return SqliteStore(None)


def a_run(number: int, points: int = 5, ending: Ending = Ending.FINISHED) -> ForeignRun:
    run = ForeignRun(str(number), ending=ending)
    for step in range(points):
        run.curves.add("loss", step, 1.0)
    return run


def imported(store: Store, runs: Iterator[ForeignRun], unfinished: bool = False, dry_run: bool = False) -> ImportReport:
    found = (FoundRun(f"/runs/{run.id}", run.id, lambda run=run: run) for run in runs)  # type: ignore[misc]
    system = System("wandb", "runs", lambda path, options: found)
    return import_runs(store, system, Path("/runs"), import_options((), 1000, "auto", False, unfinished, dry_run))


def test_a_copy_of_a_run_is_the_same_run(store: Store) -> None:
    report = imported(store, iter([a_run(1), a_run(1)]))
    assert (len(report.imported), report.present, report.seen) == (1, 1, 2)
    assert imported(store, iter([a_run(1)])).present == 1
    assert store.trainings.count_trainings() == {"completed": 1}


def test_a_dry_run_changes_nothing(store: Store) -> None:
    assert len(imported(store, iter([a_run(1)]), dry_run=True).imported) == 1
    assert store.trainings.count_trainings() == {}


def test_what_never_ended_is_left_out_unless_wanted(store: Store) -> None:
    report = imported(store, iter([a_run(1, ending=Ending.OPEN)]))
    assert (report.imported, report.unfinished) == ([], [("/runs/1", "it has no end")])
    assert imported(store, iter([a_run(1, ending=Ending.OPEN)]), unfinished=True).imported[0][1] == "failed"


def test_few_are_held_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run is read when its turn comes, and written with few others."""
    monkeypatch.setattr(module, "_RECORDS", 50)
    monkeypatch.setattr(module, "_LOOKED_UP", 3)
    sizes: list[int] = []
    read: list[int] = []
    add = store.imports.add_imported

    def counted(held: list[object]) -> int:
        sizes.append(len(held))
        assert len(read) - sum(sizes) == 0  # nothing has been read ahead of what is written
        return add(held)  # type: ignore[arg-type]

    monkeypatch.setattr(store.imports, "add_imported", counted)

    def read_it(number: int) -> ForeignRun:
        read.append(number)
        return a_run(number)

    def found(path: Path, options: object) -> Iterator[FoundRun]:
        for number in range(40):
            yield FoundRun(str(number), str(number), partial(read_it, number))

    report = import_runs(
        store, System("wandb", "runs", found), Path(), import_options((), 1000, "auto", False, False, False)
    )
    assert len(report.imported) == 40
    assert sizes == [9, 9, 9, 9, 4]
