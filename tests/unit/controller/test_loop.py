"""Whole passes of the controller, on a database in memory and a cluster that obeys at once."""

from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.backends.base import RunStatus
from mitorch_service.controller.loop import Controller, run
from mitorch_service.controller.pass_report import PassReport
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.errors import StoreUnavailable
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.search.job import SearchConfig
from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import Training, run_name
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd
from tests.fakes import FakeBackend, HookedStore, primitives
from tests.samples import NOW, a_job, a_training, an_attempt, later


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend("local", slots=2)


@pytest.fixture
def controller(store: Store, backend: FakeBackend) -> Controller:
    return Controller(store, {"local": backend})


def texts(report: PassReport, failed: bool) -> str:
    """The texts of a pass's events, or of its failures."""
    return "\n".join(event.text for event in report.events if event.failed == failed)


def queued(store: Store, **fields: Any) -> Training:
    """A training in the queue."""
    training = a_training(**fields)
    store.queue.add_trainings([training])
    return training


def damaged(store: Store, **fields: Any) -> str:
    """A training in the queue whose document somebody has changed by hand; returns its id."""
    document = {**a_training(priority=0).to_document(), **fields}
    primitives(store).insert("trainings", [document])
    return str(document["_id"])


def test_what_a_cluster_needs_is_imported_outside_the_limits_of_its_calls(store: Store) -> None:
    """On a cold machine an SDK takes many seconds."""
    order: list[str] = []

    class Cold(FakeBackend):
        def load(self) -> None:
            order.append("load")

    def call_all(calls: Any, seconds: float) -> dict[str, Any]:
        order.append("call")
        return {cluster: call() for cluster, call in calls.items()}

    Controller(store, {"a": Cold("a"), "b": Cold("b")}, call_all=call_all).observe(NOW)
    assert order[:3] == ["load", "load", "call"]


def test_a_pass_launches_what_is_queued(store: Store, backend: FakeBackend, controller: Controller) -> None:
    training = queued(store)
    report = controller.tick(NOW)
    assert backend.running() == [run_name(training.id, 1)]
    row = store.trainings.get_training(training.id)
    assert row.status == TrainingStatus.QUEUED
    assert row.attempts[0].submitted_at == NOW
    assert row.attempts[0].url == f"https://local.example/{run_name(training.id, 1)}"
    assert f"training {training.id[:8]} launched on local (attempt 1)" in texts(report, failed=False)


def test_a_run_that_vanished_is_lost_at_the_second_look_and_canceled_when_it_is_replaced(
    store: Store, backend: FakeBackend, controller: Controller
) -> None:
    training = queued(store)
    controller.tick(NOW)
    name = run_name(training.id, 1)
    forgotten = backend.runs.pop(name)
    said = texts(controller.tick(later(5)), failed=False)
    assert "local does not know its run; the next pass asks again" in said
    controller.tick(later(10))  # too soon
    backend.runs[name] = forgotten
    controller.tick(later(70))
    assert store.trainings.get_training(training.id).attempts[0].missing_at is None
    del backend.runs[name]
    for seconds in (100, 160):
        controller.tick(later(seconds))
    row = store.trainings.get_training(training.id)
    assert (row.status, row.attempts[0].outcome) == (TrainingStatus.NEW, AttemptOutcome.LOST)
    backend.runs[name] = forgotten
    controller.tick(later(200))
    assert backend.cancels == [name]
    assert backend.running() == [run_name(training.id, 2)]


def test_a_run_whose_submission_was_not_recorded_is_adopted(
    store: Store, backend: FakeBackend, controller: Controller
) -> None:
    training = queued(store)
    store.queue.claim_training(training.id, an_attempt(training))
    request = backend.prepare(training.id, 1)
    backend.submit(request)
    backend.runs[request.name] = RunStatus(RunState.RUNNING, url="https://local.example/run")
    controller.tick(later(5))
    attempt = store.trainings.get_training(training.id).attempts[0]
    assert (attempt.submitted_at, attempt.url) == (later(5), "https://local.example/run")


def test_a_pass_with_nothing_to_do_is_idle_one_that_watches_is_not(
    store: Store, backend: FakeBackend, controller: Controller
) -> None:
    assert controller.tick(NOW).idle
    training = queued(store)
    assert not controller.tick(NOW).idle
    assert not controller.tick(NOW).idle  # it is running
    store.runs.start_training(training.id, 1, "worker", NOW)
    store.runs.finish_training(training.id, 1, "worker", NOW, end())
    backend.end(run_name(training.id, 1), RunState.SUCCEEDED, exit_code=0)
    report = controller.tick(NOW)
    assert report.idle
    assert report.events == []
    assert store.trainings.get_training(training.id).status == TrainingStatus.COMPLETED


@pytest.mark.parametrize(
    "fields", [{"priority": "high"}, {"dataset": None}, {"attempts": "none"}, {"attempt": 2}, {"tags": [3]}]
)
def test_a_broken_training_is_failed_and_the_rest_goes_on(
    store: Store, backend: FakeBackend, controller: Controller, fields: dict[str, Any]
) -> None:
    broken = damaged(store, **fields)
    training = queued(store)
    report = controller.tick(NOW)
    assert run_name(training.id, 1) in backend.running()
    assert f"training {broken} failed: its document cannot be read" in texts(report, failed=True)
    assert store.trainings.count_trainings() == {"failed": 1, "queued": 1}
    assert broken not in texts(controller.tick(NOW), failed=True)  # told once


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "queued", "attempt": 1, "attempts": [{"number": 1}]},
        {"status": "running", "attempt": 1, "attempts": []},
        {"status": "queued", "attempt": 0},
    ],
)
def test_a_broken_training_that_is_active_is_failed_too(
    store: Store, controller: Controller, fields: dict[str, Any]
) -> None:
    broken = damaged(store, **fields)
    report = controller.tick(NOW)
    assert f"training {broken} failed" in texts(report, failed=True)
    assert controller.tick(NOW).idle


def test_a_broken_job_is_failed_and_the_rest_goes_on(
    store: Store, backend: FakeBackend, controller: Controller
) -> None:
    broken = {**a_job().to_document(), "search": {"max_trials": "many"}}
    primitives(store).insert("jobs", [broken])
    good = a_job()
    store.jobs.add_job(good)
    report = controller.tick(NOW)
    assert f"job {broken['_id']} failed: its document cannot be read" in texts(report, failed=True)
    assert store.trainings.count_trainings(good.id) == {"new": 2, "queued": 2}
    assert [job.id for job in store.jobs.active_jobs().items] == [good.id]


def test_a_cluster_that_does_not_answer_delays_nothing_on_the_others(store: Store) -> None:
    down, up = FakeBackend("down"), FakeBackend("up")
    controller = Controller(store, {"down": down, "up": up})
    on_down = queued(store)
    down.slots, up.slots = 2, 0
    controller.tick(NOW)
    assert down.running() == [run_name(on_down.id, 1)]
    down.down, up.slots = True, 1
    waiting = queued(store)
    report = controller.tick(NOW)
    assert "Cluster down: it does not answer" in texts(report, failed=True)
    assert up.running() == [run_name(waiting.id, 1)]
    assert store.trainings.get_training(on_down.id).status == TrainingStatus.QUEUED
    assert store.trainings.get_training(on_down.id).attempt == 1


def test_a_submission_that_failed_is_repeated_by_the_next_pass(store: Store) -> None:
    backend = FakeBackend("local")
    training = queued(store)

    def fails_after_the_claim(operation: str) -> None:
        backend.down = backend.down or operation == "change"

    broken = Controller(HookedStore(store, fails_after_the_claim), {"local": backend})
    assert "does not answer" in texts(broken.tick(NOW), failed=True)
    row = store.trainings.get_training(training.id)
    assert (row.status, row.attempts[0].submitted_at) == (TrainingStatus.QUEUED, None)
    backend.down = False
    Controller(store, {"local": backend}).tick(later(1))
    row = store.trainings.get_training(training.id)
    assert (row.attempt, row.attempts[0].submitted_at) == (1, later(1))
    assert backend.starts == {run_name(training.id, 1): 1}


def test_a_failed_run_leaves_the_end_of_its_log_without_secrets(
    store: Store, backend: FakeBackend, controller: Controller
) -> None:
    training = queued(store)
    controller.tick(NOW)
    name = run_name(training.id, 1)
    lines = [f"line {number}" for number in range(40)]
    store.runs.begin_attempt(training.id, 1, NOW)
    backend.log_texts[name] = "\n".join([*lines, "cannot reach mongodb://me:hunter2@db/"])
    backend.end(name, RunState.FAILED, "see https://me:hunter2@cloud.example/log", 1)
    report = controller.tick(later(5))
    row = store.trainings.get_training(training.id)
    assert row.status == TrainingStatus.FAILED
    assert row.status_times["failed"] == later(5)
    assert row.error is not None
    assert row.error.type == "Failed"
    assert row.error.log_tail == [*lines[-19:], "cannot reach mongodb://me:***@db/"]
    assert "hunter2" not in str(row.to_document())
    assert "hunter2" not in texts(report, failed=False)


def test_the_verdict_does_not_wait_for_the_log(store: Store) -> None:
    class WithoutLogs(FakeBackend):
        def logs(self, name: str, max_bytes: int = 65536) -> str:
            self.down = True
            return super().logs(name, max_bytes)

    backend = WithoutLogs("local")
    controller = Controller(store, {"local": backend})
    training = queued(store)
    controller.tick(NOW)
    store.runs.begin_attempt(training.id, 1, NOW)
    backend.end(run_name(training.id, 1), RunState.FAILED, "it ended with exit code 1", 1)
    controller.tick(NOW)
    assert store.trainings.get_training(training.id).status == TrainingStatus.FAILED


def test_a_lost_run_is_launched_again_in_the_next_pass_until_its_budget_is_spent(
    store: Store, backend: FakeBackend, controller: Controller
) -> None:
    training = queued(store)
    for attempt in (1, 2, 3):
        controller.tick(NOW)
        assert backend.running() == [run_name(training.id, attempt)]
        backend.end(run_name(training.id, attempt), RunState.KILLED, "it was killed by SIGKILL")
        controller.tick(NOW)
    row = store.trainings.get_training(training.id)
    assert row.status == TrainingStatus.FAILED
    assert [attempt.outcome for attempt in row.attempts] == ["lost"] * 3
    assert controller.tick(NOW).idle


def test_a_job_runs_from_its_first_trial_to_its_best(
    store: Store, backend: FakeBackend, controller: Controller
) -> None:
    job = a_job()
    store.jobs.add_job(job)
    for second in range(10):
        if controller.tick(later(second)).idle:
            break
        for row in store.queue.active_trainings().items:
            store.runs.start_training(row.id, 1, "worker", later(second))
            value = {0: 0.5, 1: 0.2, 2: 0.9, 3: None}[row.trial.number] if row.trial else None
            store.runs.finish_training(row.id, 1, "worker", later(second), end(value))
            backend.end(run_name(row.id, 1), RunState.SUCCEEDED, exit_code=0)
    done = store.jobs.get_job(job.id)
    assert (done.status, done.counts) == (JobStatus.COMPLETED, {"completed": 4})
    assert done.best is not None
    assert (done.best.number, done.best.value) == (1, 0.2)


@pytest.mark.parametrize("moment", range(1, 16))
def test_a_job_is_not_ended_by_a_pass_that_overlooks_the_trials_of_another(store: Store, moment: int) -> None:
    """The other pass adds all trials between two reads of this one."""
    job = a_job()
    store.jobs.add_job(job)
    reads = 0

    def overtake(operation: str) -> None:
        nonlocal reads
        reads += operation in ("find", "count")
        if reads == moment:
            reads += 1000
            Controller(store, {"local": FakeBackend("local", slots=0)}).tick(NOW)

    Controller(HookedStore(store, overtake), {"local": FakeBackend("local", slots=0)}).tick(NOW)
    assert store.jobs.get_job(job.id).status in (JobStatus.NEW, JobStatus.RUNNING)
    assert store.trainings.count_trainings(job.id) == {"new": 4}


def test_a_training_that_is_canceled_in_the_middle_of_a_pass_is_not_launched(
    store: Store, backend: FakeBackend
) -> None:
    training = queued(store)

    def cancel(operation: str) -> None:
        if operation == "change":
            store.queue.request_cancel(training.id, NOW)

    Controller(HookedStore(store, cancel), {"local": backend}).tick(NOW)
    assert store.trainings.get_training(training.id).status == TrainingStatus.CANCELED
    assert not backend.starts


def test_an_ended_job_shows_its_final_counts_and_best_whatever_a_late_pass_writes(store: Store) -> None:
    """A pass that saw the job earlier shows its old state just before this one ends it."""
    job = a_job(search=SearchConfig(max_trials=1, seed=0))
    store.jobs.add_job(job)
    backend = FakeBackend("local")
    Controller(store, {"local": backend}).tick(NOW)
    (row,) = store.queue.active_trainings().items
    store.runs.start_training(row.id, 1, "worker", NOW)
    store.runs.finish_training(row.id, 1, "worker", NOW, end(0.5))
    backend.end(run_name(row.id, 1), RunState.SUCCEEDED, exit_code=0)
    writes = 0

    def late(operation: str) -> None:
        nonlocal writes
        writes += operation == "change"
        if operation == "change" and writes == 1:
            store.jobs.update_job(job.id, {"running": 1}, None, NOW)

    Controller(HookedStore(store, late), {"local": backend}).tick(later(1))
    done = store.jobs.get_job(job.id)
    assert done.status == JobStatus.COMPLETED
    assert done.counts == {"completed": 1}
    assert done.best is not None


def test_a_job_runs_from_the_pass_that_queues_its_first_trials(store: Store) -> None:
    job = a_job(search=SearchConfig(algorithm="random", max_trials=3, max_concurrent=1, seed=0))
    store.jobs.add_job(job)
    backend = FakeBackend("local", slots=1)
    for seconds in (0, 60, 120):
        Controller(store, {"local": backend}).tick(later(seconds))
        running = store.jobs.get_job(job.id)
        assert (running.status, running.status_times["running"]) == (JobStatus.RUNNING, NOW)
        (row,) = store.queue.active_trainings().items
        store.runs.start_training(row.id, 1, "worker", later(seconds))
        store.runs.finish_training(row.id, 1, "worker", later(seconds), end(0.5))
        backend.end(run_name(row.id, 1), RunState.SUCCEEDED, exit_code=0)
    Controller(store, {"local": backend}).tick(later(180))
    done = store.jobs.get_job(job.id)
    assert (done.status, done.status_times["running"]) == (JobStatus.COMPLETED, NOW)


def test_a_database_that_does_not_answer_ends_the_pass(store: Store, backend: FakeBackend) -> None:
    def fail(operation: str) -> None:
        raise StoreUnavailable("at db", "does not answer", "Wait.")

    with pytest.raises(StoreUnavailable):
        Controller(HookedStore(store, fail), {"local": backend}).tick(NOW)


def test_a_loop_ends_at_the_first_idle_pass_and_waits_in_between() -> None:
    busy, idle = PassReport(Snapshot(queue=[a_training()])), PassReport(Snapshot())
    said: list[object] = []
    reports = iter([busy, busy, idle, busy])
    run(lambda: next(reports), lambda: said.append("wait"), said.append, until_idle=True)
    assert said == [busy, "wait", busy, "wait", idle]


def end(value: float | None = None) -> RunEnd:
    """The last word of a run that went well."""
    return RunEnd(AttemptOutcome.COMPLETED, {"val_loss": 0.5}, trial_value=value)
