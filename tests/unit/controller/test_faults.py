"""A fault of ours in one step of a pass: told with its traceback, and the end of that step only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mitorch_service.backends.base import Backend, Capacity, RunRequest, RunStatus
from mitorch_service.controller.loop import Controller
from mitorch_service.controller.pass_report import PassReport
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Resources, run_name
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend
from tests.samples import NOW, a_job, a_training


class Faulty(FakeBackend):
    """A cluster whose code fails in a way that nobody foresaw, in one of its verbs, or for one training."""

    def __init__(self, cluster: str, verb: str, training: str = "") -> None:
        super().__init__(cluster, slots=9)
        self.verb, self.training = verb, training

    def _fail(self, verb: str, training: str = "") -> None:
        if verb == self.verb and self.training in training:
            raise ZeroDivisionError("mongodb://me:hunter2@host/")

    def prepare(self, training_id: str, attempt: int, resources: Resources | None = None) -> RunRequest:
        self._fail("prepare", training_id)
        return super().prepare(training_id, attempt, resources)

    def submit(self, request: RunRequest) -> str | None:
        self._fail("submit")
        return super().submit(request)

    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        self._fail("describe")
        return super().describe(names)

    def capacity(self) -> Capacity:
        self._fail("capacity")
        return super().capacity()

    def logs(self, name: str, max_bytes: int = 65536) -> str:
        self._fail("logs")
        return super().logs(name, max_bytes)


def one_pass(store: Store, **backends: Backend) -> PassReport:
    report = Controller(store, backends).tick(NOW)
    traces = [event.trace for event in report.events if event.trace]
    assert "hunter2" not in "".join([*traces, *(event.text for event in report.events)])
    assert all("Traceback" in trace and "ZeroDivisionError" in trace for trace in traces)
    return report


@pytest.mark.parametrize("verb", ["capacity", "describe", "submit"])
def test_a_fault_of_one_cluster_stops_no_other(store: Store, verb: str) -> None:
    good = FakeBackend("good")
    store.queue.add_trainings([a_training(resources=Resources(cluster=[name])) for name in ("bad", "good")])
    report = one_pass(store, bad=Faulty("bad", verb), good=good)
    assert [event.text.split(":")[0] for event in report.events if event.trace] == ["cluster bad"]
    assert len(good.running()) == 1


def test_a_fault_with_one_training_keeps_no_other_from_its_start(store: Store) -> None:
    bad, good = a_training(priority=0), a_training()
    store.queue.add_trainings([bad, good])
    backend = Faulty("fake", "prepare", bad.id)
    report = one_pass(store, fake=backend)
    assert backend.running() == [run_name(good.id, 1)]
    assert [bad.id in event.text for event in report.events if event.trace] == [True]
    assert store.trainings.get_training(bad.id).attempts[0].outcome == "failed"


def test_a_fault_in_one_step_leaves_the_others(store: Store) -> None:
    backend = Faulty("fake", "logs")
    store.queue.add_trainings([first := a_training(), a_training()])
    one_pass(store, fake=backend)
    store.runs.begin_attempt(first.id, 1, NOW)
    backend.end(run_name(first.id, 1), RunState.FAILED, "no", 1)
    store.queue.add_trainings([new := a_training()])
    report = one_pass(store, fake=backend)
    assert [event.text.startswith("the log of mt-") for event in report.events if event.trace] == [True]
    assert store.trainings.count_trainings() == {"failed": 1, "queued": 2}
    assert run_name(new.id, 1) in backend.running()


def test_a_fault_with_one_job_leaves_the_others(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from mitorch_service.controller.plan import plan
    from mitorch_service.controller.plan.search.plan_job import plan_job

    bad, good = a_job(), a_job()
    for job in (bad, good):
        store.jobs.add_job(job)

    def faulty(now: Any, state: Any, *rest: Any) -> Any:
        return 1 / 0 if state.job.id == bad.id else plan_job(now, state, *rest)

    monkeypatch.setattr(plan, "plan_job", faulty)
    report = one_pass(store, fake=FakeBackend())
    assert [event.text.split(":")[0] for event in report.events if event.trace] == [f"job {bad.id}"]
    assert store.trainings.count_trainings(good.id) == {"new": 2, "queued": 2}
    kept: Job = store.jobs.get_job(bad.id)
    assert kept.status == "new"


def test_a_pass_that_could_not_read_everything_is_not_idle(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from mitorch_service.controller.observe import observation

    def faulty(*arguments: Any) -> Any:
        return 1 / 0

    assert one_pass(store).idle
    store.jobs.add_job(job := a_job())
    monkeypatch.setattr(observation, "observe_job", faulty)
    report = one_pass(store)
    assert not report.idle
    assert [event.text.split(":")[0] for event in report.events] == [f"job {job.id}"]
    with monkeypatch.context() as patch:
        patch.setattr(store.queue, "queue_head", faulty)
        assert not one_pass(store).idle
