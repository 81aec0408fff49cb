"""Cancelling, retrying, reprioritising and deleting trainings and jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.backends.base import Backend
from mitorch_service.controller.loop import Controller
from mitorch_service.errors import BackendError, NotAllowed, NotFound
from mitorch_service.models.base import new_id
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import Training, TrainingErrorInfo, TrainingRow, run_name
from mitorch_service.operations import lifecycle
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend, primitives
from tests.samples import NOW, a_job, a_result, a_training, a_trial, later


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend("local", slots=2)


def launched(store: Store, backend: FakeBackend) -> Training:
    """A training whose run goes on."""
    training = a_training()
    store.queue.add_trainings([training])
    Controller(store, {"local": backend}).tick(NOW)
    return store.trainings.get_training(training.id)


def started_job(store: Store, backend: FakeBackend) -> tuple[Job, list[TrainingRow]]:
    """A job with two running and two waiting trials, and its trials by number."""
    job = a_job()
    store.jobs.add_job(job)
    Controller(store, {"local": backend}).tick(NOW)
    return job, by_number(store, job)


def by_number(store: Store, job: Job) -> list[TrainingRow]:
    """The trials as they are now."""
    return sorted(lifecycle.trials(store, job.id), key=lambda row: row.arrival)


def fail(store: Store, row: TrainingRow) -> None:
    """The controller's verdict on a queued training."""
    error = TrainingErrorInfo(type="Failed", message="bad luck")
    assert store.queue.end_attempt(row.id, row.attempt, NOW, AttemptOutcome.FAILED, TrainingStatus.FAILED, error)


def test_a_waiting_training_is_canceled_at_once(store: Store, backend: FakeBackend) -> None:
    training = a_training()
    store.queue.add_trainings([training])
    row = lifecycle.cancel_training(store, {"local": backend}, training.id, later(1))
    assert (row.status, row.status_times["canceled"]) == (TrainingStatus.CANCELED, later(1))
    assert backend.cancels == []


def test_the_run_of_an_active_training_is_asked_to_stop(store: Store, backend: FakeBackend) -> None:
    training = launched(store, backend)
    row = lifecycle.cancel_training(store, {"local": backend}, training.id, later(1))
    assert (row.status, row.cancel_requested_at) == (TrainingStatus.QUEUED, later(1))
    assert backend.cancels == [run_name(training.id, 1)]
    Controller(store, {"local": backend}).tick(later(2))
    assert store.trainings.get_training(training.id).status == TrainingStatus.CANCELED


@pytest.mark.parametrize("trouble", ["down", "refuses", "gone"])
def test_the_wish_to_cancel_stays_where_the_cluster_cannot_be_asked(
    store: Store, backend: FakeBackend, trouble: str
) -> None:
    class Refusing(FakeBackend):
        def cancel(self, name: str) -> None:
            raise BackendError(self.cluster, "no permission", "Ask for it.")

    training = launched(store, backend)
    backend.down = trouble == "down"
    backends: dict[str, Backend] = {"local": Refusing("local") if trouble == "refuses" else backend}
    if trouble == "gone":
        backends = {}
    lifecycle.cancel_training(store, backends, training.id, later(1))
    assert store.trainings.get_training(training.id).cancel_requested_at == later(1)
    backend.down = False
    Controller(store, {"local": backend}).tick(later(2))
    assert backend.cancels == [run_name(training.id, 1)]


def test_a_training_may_be_canceled_twice_but_not_after_another_end(store: Store, backend: FakeBackend) -> None:
    training = a_training()
    store.queue.add_trainings([training])
    lifecycle.cancel_training(store, {}, training.id, NOW)
    assert lifecycle.cancel_training(store, {}, training.id, later(9)).status_times["canceled"] == NOW
    failed = launched(store, backend)
    fail(store, failed)
    with pytest.raises(NotAllowed, match="is failed: it cannot be canceled"):
        lifecycle.cancel_training(store, {}, failed.id, NOW)


def test_what_does_not_exist_cannot_be_ordered_about(store: Store, tmp_path: Path) -> None:
    files, id = FolderArtifactStore(tmp_path), new_id()
    calls: list[Callable[[], object]] = [
        lambda: lifecycle.cancel_training(store, {}, id, NOW),
        lambda: lifecycle.cancel_job(store, {}, id, NOW),
        lambda: lifecycle.retry_job(store, id, NOW),
        lambda: lifecycle.prioritise_job(store, id, 1),
        lambda: lifecycle.delete_training(store, files, id),
        lambda: lifecycle.delete_job(store, files, id),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()


def test_a_canceled_job_cancels_its_trials_and_creates_no_more(store: Store, backend: FakeBackend) -> None:
    job, rows = started_job(store, backend)
    fail(store, rows[0])
    assert lifecycle.cancel_job(store, {"local": backend}, job.id, later(1)) == 3
    assert [row.status for row in by_number(store, job)] == ["failed", "queued", "canceled", "canceled"]
    assert backend.cancels == [run_name(rows[1].id, 1)]
    controller = Controller(store, {"local": backend})
    controller.tick(later(2))
    controller.tick(later(3))
    assert store.jobs.get_job(job.id).status == JobStatus.CANCELED
    assert by_number(store, job)[1].status == TrainingStatus.CANCELED
    with pytest.raises(NotAllowed, match="is canceled: it cannot be canceled"):
        lifecycle.cancel_job(store, {}, job.id, NOW)


def test_a_cluster_that_does_not_answer_keeps_no_trial_from_being_canceled(store: Store, backend: FakeBackend) -> None:
    job, _ = started_job(store, backend)
    backend.down = True
    assert lifecycle.cancel_job(store, {"local": backend}, job.id, later(1)) == 4
    assert all(row.cancel_requested_at == later(1) for row in by_number(store, job))


def test_a_job_is_retried_by_its_trials_that_did_not_complete(store: Store, backend: FakeBackend) -> None:
    job, rows = started_job(store, backend)
    fail(store, rows[0])
    lifecycle.cancel_training(store, {}, rows[2].id, NOW)
    assert lifecycle.retry_job(store, job.id, later(1)) == 2
    assert [row.status for row in by_number(store, job)] == ["new", "queued", "new", "new"]
    assert by_number(store, job)[0].budget_from == 1
    assert lifecycle.retry_job(store, job.id, later(1)) == 0


def test_an_ended_job_is_not_retried(store: Store, backend: FakeBackend) -> None:
    job, _ = started_job(store, backend)
    store.jobs.finish_job(job.id, JobStatus.FAILED, NOW, "bad luck", {}, None)
    with pytest.raises(NotAllowed, match="cannot be retried"):
        lifecycle.retry_job(store, job.id, NOW)


def test_a_job_is_prioritised_with_its_trials_that_have_not_ended(store: Store, backend: FakeBackend) -> None:
    job, rows = started_job(store, backend)
    fail(store, rows[0])
    assert lifecycle.prioritise_job(store, job.id, 5) == 3
    assert [row.priority for row in by_number(store, job)] == [100, 5, 5, 5]
    assert store.jobs.get_job(job.id).priority == 5


def test_a_training_is_deleted_with_its_results_and_files(store: Store, backend: FakeBackend, tmp_path: Path) -> None:
    training, files = launched(store, backend), FolderArtifactStore(tmp_path / "artifacts")
    store.runs.start_training(training.id, 1, "worker", NOW)
    store.runs.record_epoch(training.id, 1, 3, a_result(1))
    (tmp_path / "log").touch()
    files.put(f"{training.id}/attempt-1/log.txt", tmp_path / "log")
    with pytest.raises(NotAllowed, match="is running: it cannot be deleted"):
        lifecycle.delete_training(store, files, training.id)
    assert files.exists(f"{training.id}/attempt-1/log.txt")
    fail(store, training)
    lifecycle.delete_training(store, files, training.id)
    assert not files.exists(f"{training.id}/attempt-1/log.txt")
    assert store.runs.curve(training.id).items == []
    with pytest.raises(NotFound):
        store.trainings.get_training(training.id)


def test_a_trial_of_an_active_job_is_not_deleted_as_it_would_come_back(
    store: Store, backend: FakeBackend, tmp_path: Path
) -> None:
    job, rows = started_job(store, backend)
    fail(store, rows[0])
    with pytest.raises(NotAllowed, match=f"Cancel job {job.id} first"):
        lifecycle.delete_training(store, FolderArtifactStore(tmp_path), rows[0].id)


def test_a_job_is_deleted_with_all_its_trials(store: Store, backend: FakeBackend, tmp_path: Path) -> None:
    files = FolderArtifactStore(tmp_path)
    job, _ = started_job(store, backend)
    with pytest.raises(NotAllowed, match="Cancel it first"):
        lifecycle.delete_job(store, files, job.id)
    lifecycle.cancel_job(store, {"local": backend}, job.id, NOW)
    for second in range(3):
        Controller(store, {"local": backend}).tick(later(second))
    (tmp_path / "picture").write_text("of the search")
    files.put(f"{job.id}/plots/history.png", tmp_path / "picture")
    assert lifecycle.delete_job(store, files, job.id) == 4
    assert files.keys(f"{job.id}/") == []
    assert store.trainings.count_trainings() == {}
    with pytest.raises(NotFound):
        store.jobs.get_job(job.id)


def test_a_job_with_a_trial_that_goes_on_again_is_deleted_wholly_or_not_at_all(
    store: Store, backend: FakeBackend, tmp_path: Path
) -> None:
    job, rows = started_job(store, backend)
    lifecycle.cancel_job(store, {"local": backend}, job.id, NOW)
    for second in range(3):
        Controller(store, {"local": backend}).tick(later(second))
    store.queue.retry_training(rows[0].id, NOW)
    with pytest.raises(NotAllowed, match="cannot be deleted"):
        lifecycle.delete_job(store, FolderArtifactStore(tmp_path), job.id)
    assert len(by_number(store, job)) == 4


def test_each_change_is_of_a_training_or_of_a_job(store: Store, backend: FakeBackend, tmp_path: Path) -> None:
    job, _ = started_job(store, backend)
    training, files = a_training(), FolderArtifactStore(tmp_path)
    store.queue.add_trainings([training])
    change = lifecycle.cancel(store, {"local": backend}, "training", training.id, later(1))
    assert change == lifecycle.Change("training", training.id)
    assert lifecycle.retry(store, "training", training.id, later(2)) == lifecycle.Change("training", training.id)
    assert lifecycle.prioritise(store, "job", job.id, 7) == lifecycle.Change("job", job.id, trials=4)
    change = lifecycle.cancel(store, {"local": backend}, "job", job.id, later(3))
    assert change == lifecycle.Change("job", job.id, trials=4, is_final=False)
    lifecycle.cancel(store, {}, "training", training.id, later(4))
    assert lifecycle.delete(store, files, "training", training.id) == lifecycle.Change("training", training.id)
    with pytest.raises(NotFound):
        lifecycle.delete(store, files, "training", training.id)


def test_a_trial_that_cannot_be_read_hides_none_behind_it(store: Store) -> None:
    job = a_job()
    store.jobs.add_job(job)
    rows = [a_trial(job.id, number).to_document() for number in range(1001)]
    primitives(store).insert(
        "trainings", [{**row, "created_at": "?"} if n == 999 else row for n, row in enumerate(rows)]
    )
    assert len(list(lifecycle.trials(store, job.id))) == 1000
