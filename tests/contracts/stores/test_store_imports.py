"""Imports into each database: once, whole, and never to be run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import NotAllowed
from mitorch_service.interop.foreign_run import Ending, ForeignRun, FoundRun
from mitorch_service.interop.import_runs import ImportReport, import_options, import_runs
from mitorch_service.interop.registry import SYSTEMS, System, open_system
from mitorch_service.models.status import ENDED
from mitorch_service.operations.archives.retention import PruneOptions, prune
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import TrainingFilter
from mitorch_service.submission.lookups import Lookups
from tests.fakes import primitives
from tests.foreign_runs.fixtures import unpack

OLD = datetime(2020, 1, 1, tzinfo=UTC)


def a_run(points: int = 5, **fields: object) -> ForeignRun:
    run = ForeignRun("1", started_at=OLD, ended_at=OLD + timedelta(hours=1))
    for name, value in fields.items():
        setattr(run, name, value)
    for step in range(points):
        run.curves.add("val/loss", step, 1.0 / (step + 1))
        run.curves.add("a.$b", step, float("nan"))
    return run


def imported(store: Store, run: ForeignRun, points: int = 1000) -> ImportReport:
    key = f"{run.id} {run.ending}"
    system = System("wandb", "runs", lambda path, options: iter([FoundRun("/runs/1", key, lambda: run)]))
    return import_runs(store, system, Path("/runs"), import_options((), points, "auto", False, True, False))


def test_once_only(store: Store, tmp_path: Path) -> None:
    for system in SYSTEMS:
        path = unpack(system, tmp_path / system)
        options = import_options((), 1000, "auto", False, True, False)
        first = import_runs(store, open_system(system), path, options)
        ids = [id for id, *_ in first.imported]
        before = {id: repr((store.trainings.get_training(id), list(store.runs.curve_records(id)))) for id in ids}
        again = import_runs(store, open_system(system), path, options)
        assert (again.imported, again.present, first.present) == ([], len(ids), 0)
        after = {id: repr((store.trainings.get_training(id), list(store.runs.curve_records(id)))) for id in ids}
        assert after == before
        rows = store.trainings.list_trainings(TrainingFilter(tag=f"imported={system}"), 100).items
        assert {row.id for row in rows} == set(ids)
        assert all(row.status in ENDED for row in rows)
        assert not any(store.runs.curve(id).broken for id in ids)
        assert any(len(store.runs.curve(id).items) >= 3 for id in ids)
    assert sum(store.trainings.count_trainings().values()) == 20
    assert store.queue.queue_head(10).items == []


def test_what_a_killed_import_has_left_is_replaced(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its results are there and its training is not, and it thinned in another way."""
    database = primitives(store)
    insert = database.insert

    def dies(collection: str, documents: object) -> int:
        if collection == "trainings":
            raise KeyboardInterrupt
        return insert(collection, documents)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(database, "insert", dies)
        with pytest.raises(KeyboardInterrupt):
            imported(store, a_run(50))
    assert store.trainings.count_trainings() == {}
    ((id, *_),) = imported(store, a_run(50), points=7).imported
    assert len(store.runs.curve(id).items) == 7
    assert store.trainings.get_training(id).max_epochs == 7


def test_nothing_runs_it(store: Store) -> None:
    for ending, expected in ((Ending.FAILED, "failed"), (Ending.KILLED, "canceled"), (Ending.OPEN, "failed")):
        ((id, status, *_),) = imported(store, a_run(ending=ending)).imported
        assert status == expected
        with pytest.raises(NotAllowed, match="is imported from wandb: it cannot be retried"):
            store.queue.retry_training(id, datetime.now(UTC))
        assert store.trainings.get_training(id).status == expected
    ((id, *_),) = imported(store, a_run()).imported
    (problem,) = Lookups(store).base_problems(id)
    assert problem.message == f"the training {id} was imported from wandb: its weights are not here"


def test_retention_counts_from_the_import(store: Store, tmp_path: Path) -> None:
    ((id, *_),) = imported(store, a_run()).imported
    assert store.trainings.get_training(id).created_at == OLD
    files = FolderArtifactStore(tmp_path)
    now = datetime.now(UTC)
    assert prune(store, files, tmp_path, PruneOptions(now - timedelta(days=1)), None, lambda: None).trainings == 0
    later = PruneOptions(now + timedelta(days=1))
    assert prune(store, files, tmp_path, later, None, lambda: None).trainings == 1
    assert list(store.runs.curve_records(id)) == []


def test_names_and_parameters_that_databases_refuse(store: Store) -> None:
    parameters = {"$set": {"a.b": 1, "": "x"}, "nul\0": float("inf"), "big": 2**70, "list": [{"$x": None}]}
    ((id, *_),) = imported(store, a_run(parameters=parameters, finals={"best.$of": 1.5})).imported
    training = store.trainings.get_training(id)
    assert training.config["parameters"] == {
        "_set": {"a.b": 1, "_": "x"},
        "nul_": "inf",
        "big": str(2**70),
        "list": [{"_x": None}],
    }
    assert training.evaluation is not None
    assert training.evaluation["best/_of"] == 1.5
    assert set(store.runs.curve(id).items[0].metrics) == {"a/_b", "step"}
