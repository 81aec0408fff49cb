"""One attempt of a queued training, as `mirun` runs it: every way in which it can end."""

from __future__ import annotations

import logging
import math
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from mitorch_service.errors import StoreError, StoreUnavailable
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.base import new_id
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.runs.attempt_end import logged_error
from mitorch_service.runs.bounded_log import BoundedLog
from mitorch_service.runs.engine_config import engine_config
from mitorch_service.stores.verbs.runs import RunEnd
from tests.fakes import FullStore, HookedStore
from tests.hostile_text import HOSTILE, MARK, assert_not_obeyed
from tests.samples import NOW, a_training, a_trial, later
from tests.unit.runs.machine import SMALL, Machine


def failing(machine: Machine, error: StoreError) -> HookedStore:
    """The machine's database, which answers everything with this error."""

    def fail(operation: str) -> None:
        raise error

    return HookedStore(machine.store, fail)


def test_a_training_runs_to_its_end(machine: Machine, tmp_path: Path) -> None:
    machine.write_images()
    training = machine.queued(a_trial(new_id(), 0, config=SMALL))
    assert machine.run(training) == 0
    done = machine.store.trainings.get_training(training.id)
    assert (done.status, done.attempts[0].outcome) == (TrainingStatus.COMPLETED, AttemptOutcome.COMPLETED)
    (epoch,) = machine.store.runs.curve(training.id).items
    assert done.evaluation == {"val_loss": epoch.val_loss, **epoch.metrics}
    assert done.trial is not None
    assert done.trial.value == epoch.val_loss
    assert done.error is None
    machine.artifacts.get(f"{training.id}/model.pth", tmp_path / "model.pth")
    assert Path(done.artifacts["model"]).read_bytes() == (tmp_path / "model.pth").read_bytes()
    assert "epoch 1  train_loss" in Path(done.artifacts["log"]).read_text()


def test_a_training_whose_loss_is_not_finite_has_diverged(machine: Machine) -> None:
    machine.write_images()
    explosive = {**SMALL, "lr_scheduler": {"name": "constant", "base_lr": 100}, "optimizer": {"weight_decay": 1e30}}
    training = machine.queued(max_retries=3, config={**explosive, "max_epochs": 5, "batch_size": 4})
    assert machine.run(training) == 1
    done = machine.store.trainings.get_training(training.id)
    assert (done.status, done.attempts[0].outcome) == (TrainingStatus.DIVERGED, AttemptOutcome.DIVERGED)
    assert done.error is not None
    assert done.error.type == "TrainingDiverged"
    assert "Lower lr_scheduler.base_lr" in done.error.message
    last = machine.store.runs.curve(training.id).items[-1]
    assert last.train_loss is not None and not math.isfinite(last.train_loss)


def test_a_training_that_is_asked_to_stop_is_canceled(machine: Machine) -> None:
    machine.write_images()
    training = machine.queued(max_retries=3)
    machine.stop.set()
    assert machine.run(training) == 0
    done = machine.store.trainings.get_training(training.id)
    assert (done.status, done.attempts[0].reason) == (TrainingStatus.CANCELED, "stopped on request")
    assert done.artifacts.keys() == {"log"}


def test_an_attempt_that_is_not_current_does_nothing(machine: Machine) -> None:
    training = machine.queued()
    later_attempt = training.model_copy(update={"attempt": 2})
    assert machine.run(later_attempt) == 0
    assert machine.store.trainings.get_training(training.id) == training


def test_a_second_process_of_the_same_attempt_does_nothing(machine: Machine) -> None:
    training = machine.queued()
    first = machine.store.runs.start_training(training.id, 1, "the first", NOW)
    assert machine.run(training) == 0
    assert machine.store.trainings.get_training(training.id) == first


def test_a_training_that_was_canceled_before_its_start_does_nothing(machine: Machine) -> None:
    training = machine.queued()
    machine.store.queue.request_cancel(training.id, NOW)
    assert machine.run(training) == 0
    assert machine.store.trainings.get_training(training.id).status == TrainingStatus.QUEUED  # the controller ends it


def test_a_training_that_does_not_exist_does_nothing(machine: Machine) -> None:
    assert machine.run(a_training(attempt=1)) == 0


def test_a_database_that_stays_away_is_no_fault_of_the_training(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 0.0

    def sleep(duration: float) -> None:
        nonlocal seconds
        seconds += duration

    clock = SimpleNamespace(monotonic=lambda: seconds, sleep=sleep)
    monkeypatch.setattr("mitorch_service.stores.patience.time", clock)
    store = failing(machine, StoreUnavailable("at db", "does not answer", "Wait."))
    assert machine.run(machine.queued(), store) == EXIT_INFRASTRUCTURE
    assert 500 < seconds <= 600  # it was waited for


def test_a_database_that_refuses_is_no_fault_of_the_training(machine: Machine) -> None:
    store = failing(machine, StoreError("at db", "disk image is malformed", "Restore it."))
    assert machine.run(machine.queued(), store) == EXIT_INFRASTRUCTURE


def test_a_user_error_is_told_with_the_end_of_the_log(machine: Machine) -> None:
    training = machine.queued()  # whose images were never written
    assert machine.run(training) == 1
    done = machine.store.trainings.get_training(training.id)
    assert (done.status, done.attempts[0].outcome) == (TrainingStatus.FAILED, AttemptOutcome.FAILED)
    assert done.attempts[0].ended_at == later(7)
    assert done.error is not None
    assert done.error.type == "DataError"
    assert done.error.message.startswith("digits:1 train: cannot be read")
    assert done.error.log_tail[-1].endswith(f"DataError: {done.error.message}")
    assert done.attempts[0].reason == done.error.message
    assert done.error.log_tail == Path(done.artifacts["log"]).read_text().splitlines()


def test_an_error_that_nobody_foresaw_is_told_with_where_it_arose(machine: Machine) -> None:
    training = machine.queued(config={"model": 3})
    assert machine.run(training) == 1
    error = machine.store.trainings.get_training(training.id).error
    assert error is not None
    assert error.type == "ValidationError"
    assert any("engine_training.py" in line for line in error.log_tail)
    assert len(error.log_tail) <= 20


def test_the_text_of_an_error_forges_no_record(tmp_path: Path) -> None:
    log, handler = logging.getLogger("mitorch"), BoundedLog(tmp_path / "log.txt")
    log.addHandler(handler)
    try:
        logged_error(RuntimeError(HOSTILE))
    finally:
        log.removeHandler(handler)
        handler.close()
    text = (tmp_path / "log.txt").read_text()
    assert_not_obeyed(text)
    assert not re.search(rf"^\S+ \S+ {MARK}", text, re.MULTILINE)  # a time of ours before a line of another


def test_a_data_set_that_is_gone_is_a_user_error(machine: Machine) -> None:
    training = machine.queued(dataset={"name": "digits", "version": 9})
    assert machine.run(training) == 1
    error = machine.store.trainings.get_training(training.id).error
    assert error is not None
    assert (error.type, "digits:9" in error.message) == ("NotFound", True)


def test_a_failed_training_is_tried_again_as_often_as_its_config_allows(machine: Machine) -> None:
    training = machine.queued(max_retries=1)
    assert machine.run(training) == 1
    row = machine.store.trainings.get_training(training.id)
    assert (row.status, row.attempts[0].outcome) == (TrainingStatus.NEW, AttemptOutcome.FAILED)
    assert row.error is not None
    assert machine.run(machine.claim(training)) == 1
    row = machine.store.trainings.get_training(training.id)
    assert (row.status, row.attempts[1].outcome) == (TrainingStatus.FAILED, AttemptOutcome.FAILED)


def test_a_base_whose_weights_are_gone_is_an_error_of_the_config(machine: Machine) -> None:
    machine.write_images()
    training = machine.queued(config={**SMALL, "base": new_id()})
    assert machine.run(training) == 1
    done = machine.store.trainings.get_training(training.id)
    assert done.error is not None
    assert (done.status, done.error.type) == (TrainingStatus.FAILED, "DataError")


def test_a_log_that_cannot_be_stored_does_not_hide_the_error(machine: Machine, tmp_path: Path) -> None:
    machine.artifacts = FullStore(tmp_path / "artifacts")
    machine.artifacts.refuses = "log.txt"
    training = machine.queued()
    assert machine.run(training) == 1
    done = machine.store.trainings.get_training(training.id)
    assert (done.status, done.artifacts) == (TrainingStatus.FAILED, {})
    assert done.error is not None
    assert done.error.type == "DataError"


def test_an_attempt_after_one_that_was_killed_goes_on_from_its_checkpoint(machine: Machine, tmp_path: Path) -> None:
    """The first process had done two epochs of four when it was killed, and told the database of one."""
    from mitorch_service.training.data.splits import read_splits
    from mitorch_service.training.loop.checkpoints.checkpoint import Checkpoints
    from mitorch_service.training.loop.engine import train
    from tests.unit.training.recorder import Killed, Recorder

    machine.write_images()
    config = {**SMALL, "max_epochs": 4}
    whole, training = machine.queued(config=config), machine.queued(config=config, max_epochs=4)
    assert machine.run(whole) == 0
    expected = machine.store.runs.curve(whole.id).items

    machine.store.runs.start_training(training.id, 1, "the first", NOW)
    lists = read_splits({name: machine.data / f"{name}.txt" for name in ("train", "val")})
    recorder = Recorder(kill_at=(3, 1))
    checked = TrainingConfig.model_validate(training.config)
    with pytest.raises(Killed), Checkpoints(machine.artifacts, f"{training.id}/") as checkpoints:
        train(checked, lists["train"], lists["val"], reporter=recorder, checkpoints=checkpoints)
    machine.store.runs.record_epoch(training.id, 1, 4, recorder.results[0])
    machine.store.runs.retry_attempt(training.id, 1, "the first", NOW, RunEnd(AttemptOutcome.LOST, reason="killed"))

    second = machine.claim(training)
    assert machine.run(second) == 0
    done = machine.store.trainings.get_training(training.id)
    assert (done.status, done.attempt) == (TrainingStatus.COMPLETED, 2)
    curve = machine.store.runs.curve(training.id).items
    clock = {"epoch_seconds", "samples_per_second", "finished_at"}
    assert [one.model_dump(exclude=clock) for one in curve] == [one.model_dump(exclude=clock) for one in expected]
    assert "Resuming from a checkpoint: epoch 3, step 1." in Path(done.artifacts["log"]).read_text()
    assert not any("checkpoint" in key for key in machine.artifacts.keys(f"{training.id}/"))
    assert {"curves", "confusion_matrix", "tensorboard"} <= done.artifacts.keys()


def test_a_trial_is_guided_by_the_objective_of_its_search() -> None:
    trial = a_trial(new_id(), 0, config=SMALL)
    assert trial.trial is not None
    accuracy = trial.trial.model_copy(update={"objective": "top1_accuracy"})
    assert engine_config(trial.model_copy(update={"trial": accuracy})).objective == "top1_accuracy"
    assert engine_config(a_training(config={**SMALL, "objective": "f1"})).objective == "f1"
    assert engine_config(a_training(config=SMALL)).objective is None
