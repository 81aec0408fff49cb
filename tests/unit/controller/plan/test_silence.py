"""Runs that give no sign of life: noted, ended by their cluster, and only then repeated."""

from __future__ import annotations

import pytest

from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.controller.loop import Controller
from mitorch_service.controller.plan.silence import CONFIRMED
from mitorch_service.errors import StaleAttempt
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import run_name
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend
from tests.samples import NOW, a_training, later

SILENT = 3600.0
CONFIRM = CONFIRMED.total_seconds()


class Scene:
    """A training whose run has started, on a cluster that believes whatever it is told."""

    def __init__(self, store: Store, starts: bool = True) -> None:
        self.store, self.backend = store, FakeBackend("local", slots=1)
        self.controller = Controller(store, {"local": self.backend}, [LocalCluster(name="local", max_silence=SILENT)])
        training = a_training()
        store.queue.add_trainings([training])
        self.id, self.run = training.id, run_name(training.id, 1)
        self.pass_at(0)
        if starts:
            store.runs.start_training(self.id, 1, "w", NOW)

    def pass_at(self, seconds: float) -> str:
        """A pass; returns what it told."""
        return "\n".join(event.text for event in self.controller.tick(later(seconds)).events)

    def ended(self) -> list[str | None]:
        """The outcomes of its attempts."""
        return [one.outcome for one in self.store.trainings.get_training(self.id).attempts]


@pytest.fixture
def scene(store: Store) -> Scene:
    return Scene(store)


def test_a_silent_run_is_noted_then_ended_by_its_cluster_and_only_then_repeated(scene: Scene) -> None:
    assert scene.pass_at(SILENT - 1) == ""
    assert f"no sign of life since {NOW:%Y-%m-%d %H:%M:%S}" in scene.pass_at(SILENT)
    assert scene.pass_at(SILENT + CONFIRM - 1) == ""
    assert "asked to stop" in scene.pass_at(SILENT + CONFIRM)
    with pytest.raises(StaleAttempt):
        scene.store.runs.heartbeat(scene.id, 1, later(SILENT + CONFIRM))
    scene.backend.end(scene.run, RunState.RUNNING)  # it takes its time
    assert "asked to stop" in scene.pass_at(SILENT + CONFIRM + 1)
    assert (scene.ended(), len(scene.backend.runs)) == ([None], 1)
    scene.backend.end(scene.run, RunState.SUCCEEDED)  # whatever its exit code
    assert "it gave no sign of life after" in scene.pass_at(SILENT + CONFIRM + 2)
    row = scene.store.trainings.get_training(scene.id)
    assert (row.status, scene.ended()) == (TrainingStatus.NEW, [AttemptOutcome.LOST])
    scene.pass_at(SILENT + CONFIRM + 3)
    assert scene.ended() == [AttemptOutcome.LOST, None]


def test_a_database_that_was_away_ends_no_run_that_lives(scene: Scene) -> None:
    scene.pass_at(SILENT + 1)
    scene.store.runs.heartbeat(scene.id, 1, later(SILENT + 20))
    assert scene.pass_at(SILENT + CONFIRM + 30) == ""
    assert "no sign of life" in scene.pass_at(2 * SILENT + 21)  # noted anew
    assert scene.pass_at(2 * SILENT + 22) == ""
    assert scene.ended() == [None]


def test_a_cluster_without_a_limit_ends_none(scene: Scene) -> None:
    scene.controller = Controller(scene.store, {"local": scene.backend})
    assert [scene.pass_at(at * SILENT) for at in (2, 3, 4)] == ["", "", ""]


def test_a_run_that_hangs_before_it_starts_its_training_is_ended_too(store: Store) -> None:
    scene = Scene(store, starts=False)
    assert scene.pass_at(SILENT - 1) == ""
    assert "has not reported its start" in scene.pass_at(SILENT)  # it may have waited for its node until now
    assert scene.pass_at(2 * SILENT - 1) == ""
    assert "asked to stop" in scene.pass_at(2 * SILENT)
    with pytest.raises(StaleAttempt):
        store.runs.start_training(scene.id, 1, "w", later(2 * SILENT))
    assert "it never reported its start" in scene.pass_at(2 * SILENT + 1)
    assert scene.ended() == [AttemptOutcome.LOST]


def test_a_run_that_starts_late_is_left_alone(store: Store) -> None:
    scene = Scene(store, starts=False)
    scene.pass_at(SILENT)
    store.runs.start_training(scene.id, 1, "w", later(2 * SILENT - 5))
    assert scene.pass_at(2 * SILENT) == ""
    assert scene.ended() == [None]
