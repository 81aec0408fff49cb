"""A backup of each database, restored into each: the same documents, whichever engine they came from."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import InvalidInput, StoreUnavailable
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.operations.archives.backup import BackupReport, back_up
from mitorch_service.operations.archives.backup_restoration import is_backup, put_back
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.contracts.conftest import database_for
from tests.fakes import HookedStore, primitives
from tests.samples import NOW, a_dataset, a_job, a_result, a_trial


def silent(report: BackupReport) -> None:
    pass


@pytest.fixture(params=["sqlite", "mongo"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """The database into which is restored."""
    (tmp_path / "other").mkdir()
    with database_for(request, tmp_path / "other") as database:
        store = database.open()
        yield store
        store.close()


def filled(store: Store) -> list[str]:
    """Adds a job with trials in several states, curves and a data set; returns the ids of the trials."""
    store.prepare()
    job = a_job(status=JobStatus.RUNNING, status_times={"running": NOW})
    states = (TrainingStatus.COMPLETED, TrainingStatus.RUNNING, TrainingStatus.NEW)
    trials = [a_trial(job.id, number, status=state, tags=["team=a"]) for number, state in enumerate(states)]
    store.datasets.add_dataset(a_dataset())
    store.jobs.add_job(job)
    store.queue.add_trainings(trials)
    for trial in trials[:2]:
        records: list[dict[str, Any]] = [
            {"_id": f"{trial.id}:{epoch:06d}", "training_id": trial.id, "attempt": 1, **a_result(epoch).to_document()}
            for epoch in range(1, 4)
        ]
        records[-1]["train_loss"] = math.inf
        primitives(store).insert("training_results", records)
    return [trial.id for trial in trials]


def content(store: Store, ids: list[str]) -> list[object]:
    """Everything that the verbs read of it."""
    return [
        [store.trainings.get_training(id) for id in ids],
        [store.runs.curve(id).items for id in ids],
        [job.id for job in store.jobs.list_jobs(10).items],
        store.datasets.list_datasets().items,
        store.trainings.count_trainings(),
        [row.id for row in store.trainings.list_trainings(TrainingFilter(tag="team=a"), 10).items],
    ]


def test_a_backup_is_the_same_in_each_engine(store: Store, target: Store, tmp_path: Path) -> None:
    ids = filled(store)
    files = FolderArtifactStore(tmp_path / "artifacts")
    (tmp_path / "weights").write_bytes(b"w" * 3_000_000)
    files.put(f"{ids[0]}/model.pth", tmp_path / "weights")
    files.put("code/abc.tar.gz", tmp_path / "weights")
    files.put("strange/file", tmp_path / "weights")  # of no training
    made = back_up(store, files, tmp_path / "all.zip", NOW, silent)
    assert (made.documents["trainings"], made.documents["training_results"], made.artifacts) == (3, 6, 2)
    assert is_backup(tmp_path / "all.zip")
    assert [path.name for path in tmp_path.glob(".all*")] == []

    copies = FolderArtifactStore(tmp_path / "copies")
    assert put_back(target, copies, tmp_path / "all.zip", True, silent).documents["trainings"] == 3
    assert target.trainings.count_trainings() == {}
    put_back(target, copies, tmp_path / "all.zip", False, silent)
    assert content(target, ids) == content(store, ids)
    assert copies.keys(f"{ids[0]}/") == [f"{ids[0]}/model.pth"]
    again = put_back(target, copies, tmp_path / "all.zip", False, silent)
    assert (sum(again.documents.values()), again.artifacts, again.present) == (0, 0, sum(made.documents.values()))


def test_a_damaged_document_is_kept_as_it_is(store: Store, target: Store, tmp_path: Path) -> None:
    store.prepare()
    primitives(store).insert("trainings", [{"_id": "by-hand", "status": "new", "config": 7, "$date": {"$date": "x"}}])
    back_up(store, None, tmp_path / "all.zip", NOW, silent)
    put_back(target, None, tmp_path / "all.zip", False, silent)
    [found] = primitives(target).scan("trainings")
    assert (found["_id"], found["config"], found["$date"]) == ("by-hand", 7, {"$date": "x"})


def test_a_restoration_that_is_cut_off_goes_on(tmp_path: Path) -> None:
    source = SqliteStore(None)
    ids = filled(source)
    back_up(source, None, tmp_path / "all.zip", NOW, silent)
    target = SqliteStore(tmp_path / "target.db")
    left = 2  # data sets and curves

    def fail(operation: str) -> None:
        nonlocal left
        left -= operation == "insert"
        if left < 0:
            raise StoreUnavailable("here", "is away", "Wait.")

    with pytest.raises(StoreUnavailable):
        put_back(HookedStore(target, fail), None, tmp_path / "all.zip", False, silent)
    assert target.trainings.count_trainings() == {}  # their curves are there
    put_back(target, None, tmp_path / "all.zip", False, silent)
    assert content(target, ids) == content(source, ids)


def spoil(path: Path, name: str, change: bytes | None) -> None:
    """Writes the zip anew with another content of a member, or without it."""
    with zipfile.ZipFile(path) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    members[name] = b"" if change is None else change
    with zipfile.ZipFile(path, "w") as archive:
        for one, data in members.items():
            if one != name or change is not None:
                archive.writestr(one, data)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("trainings.jsonl", b"{}\n", "SHA-256 differs"),
        ("trainings.jsonl", None, "listed or stored"),
        ("more.jsonl", b"{}", "listed or stored"),
        ("manifest.json", b"{}", "this is no backup"),
        ("manifest.json", None, "this is no backup"),
        ("manifest.json", json.dumps({"format": 99, "sha256": {}}).encode(), "upgrade this machine"),
    ],
)
def test_a_damaged_backup_changes_nothing(name: str, change: bytes | None, message: str, tmp_path: Path) -> None:
    source, target = SqliteStore(None), SqliteStore(None)
    filled(source)
    back_up(source, None, tmp_path / "all.zip", NOW, silent)
    spoil(tmp_path / "all.zip", name, change)
    with pytest.raises(InvalidInput, match=message):
        put_back(target, None, tmp_path / "all.zip", False, silent)
    assert target.trainings.count_trainings() == {}


def test_a_backup_that_is_cut_off_or_has_the_name_of_another_is_refused(tmp_path: Path) -> None:
    source = SqliteStore(None)
    filled(source)
    back_up(source, None, tmp_path / "all.zip", NOW, silent)
    with pytest.raises(InvalidInput, match="exists already"):
        back_up(source, None, tmp_path / "all.zip", NOW, silent)
    whole = (tmp_path / "all.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[:-40])
    with pytest.raises(InvalidInput, match="cut off or damaged"):
        put_back(source, None, tmp_path / "cut.zip", False, silent)
