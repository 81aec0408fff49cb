"""Runs of trials that pause, go on, and go on from another one's state: real trainings, as `mirun` runs them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.models.base import new_id
from mitorch_service.models.search.population import Inheritance, MemberReplacement
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Training, TrainingErrorInfo
from mitorch_service.training.loop.checkpoints.checkpoint import Checkpoints
from tests.samples import CONFIG, a_trial, later
from tests.unit.runs.machine import Machine

PARTS = {
    **CONFIG,
    "max_epochs": 4,
    "batch_size": 8,
    "checkpoint": {"epochs": 100},
    "augmentation": {"train": "resize", "val": "resize"},
}
JOB = new_id()
_ERROR = TrainingErrorInfo(type="Lost", message="killed")


@pytest.fixture
def machine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Machine]:
    caplog.set_level(logging.INFO, logger="mitorch")
    machine = Machine(tmp_path)
    machine.write_images()
    yield machine
    machine.store.close()


def queued(machine: Machine, number: int, pause_at: int | None, rate: float = 0.01, **trial: Any) -> Training:
    """A trial that pauses after epoch 2, or not."""
    config = {**PARTS, "lr_scheduler": {"name": "cosine", "base_lr": rate}}
    training = a_trial(JOB, number, config=config, max_epochs=4)
    assert training.trial is not None
    parts = training.trial.model_copy(update={"pause_at": pause_at, "rungs": [2], **trial})
    return machine.queued(training.model_copy(update={"trial": parts}))


def run(machine: Machine, training: Training) -> int:
    """The exit code of the attempt, in what would be a process of its own."""
    machine.stop.clear()
    return machine.run(training)


def curve(machine: Machine, training: Training) -> list[tuple[int, float | None, float | None]]:
    return [(one.epoch, one.train_loss, one.val_loss) for one in machine.store.runs.curve(training.id).items]


def go_on(machine: Machine, training: Training, replacement: MemberReplacement | None = None) -> Training:
    """The trial at its next attempt, about to start."""
    assert machine.store.rungs.resume_trial(
        machine.store.trainings.get_training(training.id), None, 100, later(9), replacement
    )
    return machine.claim(training)


def test_a_paused_trial_goes_on_with_the_curve_that_it_would_have_had(machine: Machine) -> None:
    whole, trial = queued(machine, 0, None), queued(machine, 1, 2)
    assert run(machine, whole) == run(machine, trial) == 0
    paused = machine.store.trainings.get_training(trial.id)
    assert (paused.status, paused.is_paused()) == (TrainingStatus.PAUSED, True)
    assert paused.attempts[0].reason == "paused after epoch 2 of 4 until its search resumes it"
    assert paused.trial is not None
    assert (paused.trial.value, paused.trial.curve) == (None, {"2": curve(machine, trial)[1][2]})
    assert paused.evaluation is not None
    assert paused.artifacts.keys() == {"model", "log"}
    assert [record.number for record in machine.store.rungs.best_paused(JOB, 2, 9)] == [1]
    assert any("checkpoint-" in key for key in machine.artifacts.keys(f"{trial.id}/"))

    assert run(machine, go_on(machine, trial)) == 0
    done = machine.store.trainings.get_training(trial.id)
    assert [attempt.outcome for attempt in done.attempts] == [AttemptOutcome.PAUSED, AttemptOutcome.COMPLETED]
    assert curve(machine, trial) == curve(machine, whole)
    assert machine.store.rungs.best_paused(JOB, 2, 9) == []
    assert machine.store.rungs.count_rung(JOB, 2) == 2
    assert not any("checkpoint-" in key for key in machine.artifacts.keys(f"{trial.id}/"))


def test_a_run_that_died_before_it_could_say_that_it_paused_does_so_at_once(machine: Machine) -> None:
    trial = queued(machine, 1, 2)
    assert run(machine, trial) == 0
    row = machine.store.trainings.get_training(trial.id)
    assert machine.store.rungs.resume_trial(row, 2, 100, later(9))  # as if it had never said so
    assert run(machine, machine.claim(trial)) == 0
    again = machine.store.trainings.get_training(trial.id)
    assert again.is_paused()
    assert [epoch for epoch, *_ in curve(machine, trial)] == [1, 2]
    assert [record.attempt for record in machine.store.rungs.best_paused(JOB, 2, 9)] == [2]


def test_a_member_goes_on_from_anothers_state_also_after_it_was_killed(machine: Machine) -> None:
    parent, child = queued(machine, 0, 2, lineage=[]), queued(machine, 1, 2, 1e-9, lineage=[])
    assert run(machine, parent) == run(machine, child) == 0
    assert run(machine, go_on(machine, parent)) == 0  # it is done long before the other starts
    config = {**PARTS, "lr_scheduler": {"name": "cosine", "base_lr": 0.01}}
    inheritance = Inheritance(epoch=2, parent=parent.id, parent_number=0, before={"lr": 1e-9}, after={"lr": 0.01})
    before = curve(machine, child)
    child = go_on(machine, child, MemberReplacement(config, inheritance, 0))
    row = machine.store.trainings.get_training(child.id)
    machine.store.queue.end_attempt(row.id, 2, later(9), AttemptOutcome.LOST, TrainingStatus.NEW, _ERROR)
    assert run(machine, machine.claim(child)) == 0
    assert curve(machine, child) == before + curve(machine, parent)[2:]  # the same parameters, the same state
    assert machine.store.trainings.get_training(child.id).status == TrainingStatus.COMPLETED


def test_a_member_that_has_made_its_own_way_since_goes_on_from_there(machine: Machine) -> None:
    parent, child = queued(machine, 0, 2, lineage=[]), queued(machine, 1, 2, 1e-9, lineage=[])
    assert run(machine, parent) == run(machine, child) == 0
    config = {**PARTS, "lr_scheduler": {"name": "cosine", "base_lr": 0.02}}
    inheritance = Inheritance(epoch=2, parent=parent.id, parent_number=0, before={"lr": 1e-9}, after={"lr": 0.02})
    row = machine.store.trainings.get_training(child.id)
    assert machine.store.rungs.resume_trial(row, 3, 100, later(9), MemberReplacement(config, inheritance, 0))
    assert run(machine, machine.claim(child)) == 0
    state = Checkpoints(machine.artifacts, f"{child.id}/").latest()
    assert state is not None
    assert (state["origin"], state["epoch"]) == (f"{parent.id}@2", 3)
    machine.artifacts.delete(f"{parent.id}/")  # it is not needed any more
    assert run(machine, go_on(machine, child)) == 0
    assert [epoch for epoch, *_ in curve(machine, child)] == [1, 2, 3, 4]


def test_a_state_that_is_gone_is_no_fault_of_the_training(machine: Machine) -> None:
    child = queued(machine, 1, 2, lineage=[])
    assert run(machine, child) == 0
    inheritance = Inheritance(epoch=2, parent=new_id(), parent_number=0, before={}, after={})
    assert run(machine, go_on(machine, child, MemberReplacement(PARTS, inheritance, 0))) == 75
