"""Restoring from an archive into each database: as it was."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.operations.archives.archive import Archive
from mitorch_service.operations.archives.restoration import restore
from mitorch_service.operations.archives.retention import PruneOptions, prune
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.fakes import primitives
from tests.samples import NOW, a_job, a_result, a_trial


def test_pruned_and_restored(store: Store, tmp_path: Path) -> None:
    old: dict[str, Any] = {"status_times": {"completed": NOW - timedelta(days=1)}}
    job = a_job(status=JobStatus.COMPLETED, **old)
    trials = [a_trial(job.id, number, status=TrainingStatus.COMPLETED, tags=["team=a"], **old) for number in range(3)]
    store.jobs.add_job(job)
    store.queue.add_trainings(trials)
    curves = {
        trial.id: [
            {"_id": f"{trial.id}:{epoch:06d}", "training_id": trial.id, "attempt": 1, **a_result(epoch).to_document()}
            for epoch in (1, 2)
        ]
        for trial in trials
    }
    for records in curves.values():
        primitives(store).insert("training_results", records)
    before = [store.trainings.get_training(trial.id) for trial in trials], store.jobs.get_job(job.id)
    archive = Archive(tmp_path / "old.jsonl.gz")
    files = FolderArtifactStore(tmp_path / "artifacts")
    prune(store, files, tmp_path, PruneOptions(NOW), archive, lambda: None)
    archive.close()
    assert store.trainings.count_trainings() == {}

    report = restore(store, tmp_path / "old.jsonl.gz")
    assert (report.trainings, report.jobs, report.present) == (3, 1, 0)
    assert ([store.trainings.get_training(trial.id) for trial in trials], store.jobs.get_job(job.id)) == before
    assert {id: list(store.runs.curve_records(id)) for id in curves} == {
        id: [{**record, "finished_at": found["finished_at"]} for record, found in zip(records, there, strict=True)]
        for id, records in curves.items()
        for there in [list(store.runs.curve_records(id))]
    }
    assert [len(store.runs.curve(trial.id).items) for trial in trials] == [2, 2, 2]
    assert len(store.trainings.list_trainings(TrainingFilter(tag="team=a"), 10).items) == 3
    assert store.trainings.count_trainings() == {"completed": 3}
    assert prune(store, files, tmp_path, PruneOptions(NOW), None, lambda: None).trainings == 3  # times are times again
