"""A node whose clock is five minutes off: runs are told apart, ended, repeated and reported as with a right one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.controller.loop import Controller
from mitorch_service.errors import DataError, StaleAttempt
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Training, run_name
from mitorch_service.runs.attempt import run_training
from mitorch_service.runs.attempt_end import finished
from mitorch_service.runs.context import AttemptContext, RunContext
from mitorch_service.runs.machine import MACHINE
from mitorch_service.runs.resume import ResumePoint
from mitorch_service.runs.store_reporter import StoreReporter
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd
from tests.contracts.conftest import database_for
from tests.fakes import ListingBackend
from tests.samples import a_result, a_training, later
from tests.unit.runs.machine import Runs

OFF = 300.0  # seconds
EPOCH = 200.0
SILENT = 600.0  # the shortest silence that ends a run


class Node(Runs):
    """A cluster's only node, its controller, whose clock is right, and one training."""

    def __init__(self, folder: Path, store: Store, off: float, **config: object) -> None:
        super().__init__(folder)
        self.store.close()
        self.store, self.off, self.at = store, off, 0.0
        self.backend = ListingBackend("local", slots=1)
        self.controller = Controller(
            store, {"local": self.backend}, [LocalCluster(name="local", max_silence=SILENT, slots=1)]
        )
        self.fails = 0  # attempts
        self.parts = replace(MACHINE, run_script=self._script)
        script = {"script": {"command": ["true"]}, "parameters": {}, **config}
        training = a_training(config=script, dataset=NO_DATASET, max_epochs=3, max_retries=1)
        store.queue.add_trainings([training])
        self.id = training.id
        self.told: list[str] = []
        self.tick()

    def clock(self) -> datetime:
        """The time by the node's own clock."""
        return later(self.at + self.off)

    @property
    def training(self) -> Training:
        return self.store.trainings.get_training(self.id)

    def tick(self) -> str:
        """A pass at the right time; returns what it told."""
        told = [event.text for event in self.controller.tick(later(self.at)).events]
        self.told += told
        return "\n".join(told)

    def run_attempt(self) -> int:
        """The exit code of the current attempt, of which its cluster hears, too."""
        attempt = self.training.attempt
        run = RunContext(self.store, self.artifacts, self.clock, self.stop, worker="w")
        code = run_training(run, self.id, attempt, self.parts)
        self.backend.end(
            run_name(self.id, attempt), RunState.SUCCEEDED if code == 0 else RunState.FAILED, exit_code=code
        )
        return code

    def _script(self, context: AttemptContext, reporter: StoreReporter) -> RunEnd:
        for epoch in (1, 2, 3):
            self.at += EPOCH
            reporter.epoch_ended(a_result(epoch, finished_at=self.clock()))
            reporter.flush(20)
            assert self.tick() == "", "a pass in the middle has nothing to do"
            if context.training.attempt <= self.fails:
                raise DataError("an image is damaged")
        return finished(context.training, {"val_loss": 0.5}, {})


@pytest.fixture(scope="module", params=["sqlite", "mongo"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One database for all: each test ends what it has started."""
    with database_for(request, tmp_path_factory.mktemp("database")) as database:
        store = database.open()
        store.prepare()
        yield store
        store.close()


@pytest.fixture(params=[OFF, -OFF], ids=["ahead", "behind"])
def node(request: pytest.FixtureRequest, shared: Store, tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path, shared, request.param)
    yield node
    if node.training.ended_at is None:
        node.store.queue.request_cancel(node.id, later(node.at))
    for name in node.backend.running():
        node.backend.end(name, RunState.FAILED, exit_code=1)
    node.tick()
    assert node.training.ended_at is not None


def test_a_training_is_run_once_and_its_times_are_in_order(node: Node) -> None:
    assert node.run_attempt() == 0
    assert node.tick() + node.tick() == ""
    done = node.training
    (attempt,) = done.attempts
    assert (done.status, attempt.outcome) == (TrainingStatus.COMPLETED, AttemptOutcome.COMPLETED)
    assert list(node.backend.starts.values()) == [1] and node.backend.cancels == []
    curve = node.store.runs.curve(node.id).items
    assert [one.epoch for one in curve] == [1, 2, 3]
    assert [one.finished_at for one in curve] == sorted(one.finished_at for one in curve)
    assert attempt.started_at is not None and attempt.ended_at is not None
    assert attempt.queued_at <= attempt.started_at <= attempt.ended_at == done.ended_at
    # Of a clock that is behind, the time before the attempt was queued does not count.
    assert attempt.ended_at - attempt.started_at == timedelta(seconds=3 * EPOCH - (OFF if node.off < 0 else 0))


def test_an_attempt_that_fails_is_repeated_within_its_budget(node: Node) -> None:
    node.fails = 1
    assert node.run_attempt() == 1
    node.tick()  # the next attempt
    assert node.training.attempt == 2
    assert node.run_attempt() == 0
    first, second = node.training.attempts
    assert [first.outcome, second.outcome] == [AttemptOutcome.FAILED, AttemptOutcome.COMPLETED]
    for one in (first, second):
        assert one.started_at is not None and one.ended_at is not None
        assert one.queued_at <= one.started_at <= one.ended_at
    assert [one.epoch for one in node.store.runs.curve(node.id).items] == [1, 2, 3]


def test_a_run_that_reports_is_never_silent_and_one_that_does_not_is_ended_once(node: Node) -> None:
    store = node.store
    store.runs.begin_attempt(node.id, 1, node.clock())
    store.runs.start_training(node.id, 1, "w", node.clock())
    for _ in range(int(SILENT / 60) + 2):
        node.at += 60
        assert store.runs.heartbeat(node.id, 1, node.clock()) is False
        if node.at % 240 == 0:
            assert node.tick() == ""
    assert node.training.attempts[0].silent_at is None
    node.at += SILENT + OFF  # whichever way its clock is off
    assert "no sign of life" in node.tick()
    node.at += OFF
    assert "asked to stop" in node.tick()
    with pytest.raises(StaleAttempt):
        store.runs.heartbeat(node.id, 1, node.clock())
    node.tick()
    node.tick()
    row = node.training
    assert [one.outcome for one in row.attempts] == [AttemptOutcome.LOST, None]
    assert node.backend.running() == [run_name(node.id, 2)]
    assert not any("without a training" in one or "no training" in one for one in node.told)


def test_one_that_comes_back_from_a_false_alarm_is_not_run_twice(node: Node) -> None:
    """Its network was away, and it is noted; then it reports, by its own clock."""
    node.store.runs.start_training(node.id, 1, "w", node.clock())
    node.at += SILENT + OFF
    assert "no sign of life" in node.tick()
    for _ in range(4):
        node.at += 100
        node.store.runs.heartbeat(node.id, 1, node.clock())
        assert "asked to stop" not in node.tick()
    assert (node.training.status, node.training.attempt, node.backend.cancels) == (TrainingStatus.RUNNING, 1, [])


@pytest.mark.parametrize("off", [OFF, -OFF])
def test_the_epochs_of_the_engine_are_timed_by_the_databases_clock(tmp_path: Path, off: float) -> None:
    """The engine knows no database: it takes its node's time."""
    node = Runs(tmp_path)
    store = node.store
    plain = a_training(dataset=NO_DATASET, max_epochs=1)
    store.queue.add_trainings([plain])
    node.claim(plain)

    def engine(context: AttemptContext, resume_point: ResumePoint, reporter: StoreReporter) -> RunEnd:
        reporter.epoch_ended(a_result(1, finished_at=datetime.now(UTC) + timedelta(seconds=off)))
        return finished(context.training, {"val_loss": 0.5}, {})

    parts = replace(MACHINE, run_engine=engine)
    assert run_training(RunContext(store, node.artifacts, store.now, node.stop), plain.id, 1, parts) == 0
    (result,) = store.runs.curve(plain.id).items
    assert abs(result.finished_at - store.now()) < timedelta(seconds=60)
    progress = store.trainings.get_training(plain.id).progress
    assert progress is not None and progress.at == result.finished_at
    store.close()
