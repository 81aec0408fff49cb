"""Runs that go on though no training knows them: told with age and cost, and canceled where that is configured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.backends.base import RunRequest
from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.controller.loop import Controller
from mitorch_service.controller.plan.leaked_runs import leak_fields
from mitorch_service.controller.timed_pass import timed_pass
from mitorch_service.insights.service_status import read_status
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.base import new_id
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import run_name
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd
from tests.fakes import ListingBackend, primitives
from tests.samples import NOW, a_training, later


class Scene:
    """A training whose first run has ended for the service, and goes on for its cluster."""

    def __init__(self, store: Store, cancel_after: float | None) -> None:
        self.store, self.backend = store, ListingBackend("local", slots=2)
        cluster = LocalCluster(name="local", price=3.0, cancel_leaks_after=cancel_after)
        self.controller = Controller(store, {"local": self.backend}, [cluster])
        training = a_training()
        store.queue.add_trainings([training])
        self.id, self.run = training.id, run_name(training.id, 1)
        self.pass_at(0)
        store.runs.start_training(self.id, 1, "w", NOW)
        store.runs.finish_training(self.id, 1, "w", later(60), RunEnd(AttemptOutcome.COMPLETED, {"val_loss": 0.5}))

    def pass_at(self, seconds: float) -> list[str]:
        """A pass; returns the runs that it canceled."""
        before = len(self.backend.cancels)
        self.controller.tick(later(seconds))
        return self.backend.cancels[before:]

    def leaks_at(self, seconds: float) -> list[dict[str, Any]]:
        """Returns what a pass would see."""
        return [leak_fields(leak, later(seconds)) for leak in self.controller.observe(later(seconds)).leaks]


@pytest.fixture
def scene(store: Store) -> Scene:
    return Scene(store, cancel_after=1200.0)


def test_a_run_that_goes_on_after_its_end_is_told_with_its_age_and_cost(scene: Scene) -> None:
    assert scene.leaks_at(60 + 299) == []  # it may still be ending
    (leak,) = scene.leaks_at(60 + 600)
    assert leak == {
        "run": scene.run,
        "cluster": "local",
        "reason": "its attempt has ended, and its training is completed",
        "minutes": 10,
        "nodes": 1,
        "cost": 0.5,
        "ours": True,
    }
    scene.backend.end(scene.run, RunState.SUCCEEDED)
    assert scene.leaks_at(60 + 600) == []


def test_it_is_canceled_after_the_time_that_its_cluster_allows(scene: Scene) -> None:
    assert scene.pass_at(60 + 1199) == []
    assert scene.pass_at(60 + 1200) == [scene.run]


def test_without_that_setting_it_is_only_told(store: Store) -> None:
    scene = Scene(store, cancel_after=None)
    assert (scene.pass_at(1e6), len(scene.leaks_at(1e6))) == ([], 1)


def test_a_run_whose_training_another_service_may_have_is_never_canceled(scene: Scene) -> None:
    scene.backend.end(scene.run, RunState.SUCCEEDED)
    scene.backend.submit(RunRequest(run_name(new_id(), 1), ("mirun",)))
    scene.backend.submit(RunRequest("someone-elses", ("sleep",)))
    (leak,) = scene.leaks_at(1e6)
    assert (leak["ours"], "belongs to another service" in leak["reason"]) == (False, True)
    assert scene.pass_at(1e6) == []


def test_a_given_up_attempt_beside_its_successor_is_a_leak_and_the_successor_is_none(store: Store) -> None:
    scene = Scene(store, cancel_after=1200.0)
    training = a_training()
    store.queue.add_trainings([training])
    scene.backend.end(scene.run, RunState.SUCCEEDED)
    scene.pass_at(100)
    first = run_name(training.id, 1)
    scene.backend.end(first, RunState.KILLED)
    scene.pass_at(200)
    scene.pass_at(300)
    scene.backend.end(first, RunState.RUNNING)  # its node is back
    (leak,) = scene.leaks_at(200 + 600)
    assert (leak["run"], leak["reason"]) == (first, "its attempt was given up, and attempt 2 has followed")
    assert scene.pass_at(200 + 1200) == [first]


def test_the_log_of_a_pass_and_the_status_tell_of_both_directions(scene: Scene, tmp_path: Path) -> None:
    lost = a_training()
    scene.store.queue.add_trainings([lost])
    scene.pass_at(100)
    del scene.backend.runs[run_name(lost.id, 1)]  # its cluster has forgotten it
    status = read_status(scene.store, {"local": scene.backend}, later(900), prices={"local": 3.0})
    assert [leak.run_name for leak in status.leaks] == [scene.run]
    assert [row.id for row in status.without_run] == [lost.id]
    lines: list[dict[str, Any]] = []
    timed_pass(scene.controller, FolderArtifactStore(tmp_path), lambda: later(900), lambda: True, lines.append)
    runs = [("leak", scene.run), ("without_run", run_name(lost.id, 1)), ("pass", None)]
    assert [(line["event"], line.get("run")) for line in lines] == runs
    assert (lines[-1]["leaks"], lines[-1]["without_run"]) == (1, 1)
    scene.pass_at(961)  # missed twice
    scene.pass_at(1021)
    row = scene.store.trainings.get_row(lost.id)
    assert (row.status, row.attempt) == (TrainingStatus.QUEUED, 2)  # it is launched again


def test_a_run_of_a_training_that_a_newer_version_wrote_is_none(scene: Scene) -> None:
    primitives(scene.store).replace(
        "trainings", {**scene.store.trainings.get_training(scene.id).to_document(), "schema": 9}
    )
    assert scene.leaks_at(60 + 600) == []
    assert scene.pass_at(60 + 9999) == []
