"""A machine or a storage that cannot be written: no training's fault, and no training's loss."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from mitorch_service.errors import MachineTrouble
from mitorch_service.models.attempts.attempt_budgets import MAX_LOST_ATTEMPTS
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Resources, Training
from mitorch_service.runs import delivery
from mitorch_service.runs.machine_check import check_folder, check_gpus, find_trouble
from tests.fakes import FullStore
from tests.samples import NOW
from tests.small_disk import tmpfs
from tests.unit.runs.machine import SMALL, Machine
from tests.unit.runs.script.machine import Machine as ScriptMachine

REPORT = "import mitorch_service as m, os, pathlib\nm.report(epoch=1, train_loss=1, val_loss=0.25)\n"
WRITES = "(pathlib.Path(os.environ['MITORCH_OUTPUT']) / 'out.txt').write_text('it is here')\n"


@pytest.fixture
def scripts(tmp_path: Path) -> ScriptMachine:
    machine = ScriptMachine(tmp_path)
    machine.artifacts = FullStore(tmp_path / "artifacts")
    machine.undelivered = tmp_path / "undelivered"
    return machine


def stored(machine: Machine | ScriptMachine, training: Training) -> Training:
    return machine.store.trainings.get_training(training.id)


def fill(machine: Machine | ScriptMachine, key: str | None) -> None:
    assert isinstance(machine.artifacts, FullStore)
    machine.artifacts.refuses = key


def test_a_storage_that_cannot_be_written_costs_nothing_before_the_training(scripts: ScriptMachine) -> None:
    training = scripts.queued(REPORT)
    fill(scripts, "")
    for number in range(1, MAX_LOST_ATTEMPTS + 2):
        assert scripts.run(stored(scripts, training)) == EXIT_INFRASTRUCTURE
        row = stored(scripts, training)
        assert (row.status, row.attempts[-1].outcome) == (TrainingStatus.NEW, AttemptOutcome.BLOCKED)
        assert row.attempts[-1].started_at is None
        assert row.attempt == number
        scripts.claim(training)
    assert row.attempts[-1].reason == "the artifact store the folder cannot be written: No space left on device"
    fill(scripts, None)
    assert scripts.run(stored(scripts, training)) == 0
    assert stored(scripts, training).status == TrainingStatus.COMPLETED


def test_one_that_was_canceled_does_not_wait_for_the_storage(scripts: ScriptMachine) -> None:
    training = scripts.queued(REPORT)
    scripts.store.queue.request_cancel(training.id, NOW)
    fill(scripts, "")
    scripts.run(training)
    assert stored(scripts, training).status == TrainingStatus.CANCELED


def test_what_a_script_has_done_is_kept_and_delivered_by_the_next_attempt(scripts: ScriptMachine) -> None:
    training = scripts.queued(REPORT + WRITES, trial=True)
    fill(scripts, "output")  # small files can be stored, so that the training begins
    assert scripts.run(training) == EXIT_INFRASTRUCTURE
    row = stored(scripts, training)
    assert (row.status, row.attempts[0].outcome, row.kept_on()) == (TrainingStatus.NEW, AttemptOutcome.BLOCKED, "local")
    assert "kept, and delivered later" in (row.attempts[0].reason or "")
    scripts.claim(training)
    assert scripts.run(stored(scripts, training)) == EXIT_INFRASTRUCTURE  # it is still full: nothing is done again
    assert stored(scripts, training).kept_on() == "local"
    shutil.rmtree(scripts.folder / "artifacts" / "code")  # it could not be done again
    fill(scripts, None)
    scripts.claim(training)
    assert scripts.run(stored(scripts, training)) == 0
    done = stored(scripts, training)
    assert done.trial is not None
    assert (done.status, done.evaluation, done.trial.value) == (TrainingStatus.COMPLETED, {"val_loss": 0.25}, 0.25)
    assert Path(done.artifacts["output"], "out.txt").read_text() == "it is here"
    assert [result.epoch for result in scripts.store.runs.curve(training.id).items] == [1]
    assert scripts.undelivered is not None
    assert list(scripts.undelivered.iterdir()) == []


def test_what_is_kept_of_another_config_or_damaged_is_not_delivered(scripts: ScriptMachine) -> None:
    training = scripts.queued(REPORT + WRITES)
    fill(scripts, "output")
    assert scripts.run(training) == EXIT_INFRASTRUCTURE
    assert delivery.kept_work(scripts.undelivered, training) is not None
    changed = training.model_copy(update={"config": {**training.config, "parameters": {"lr": 1}}})
    assert delivery.kept_work(scripts.undelivered, changed) is None
    assert scripts.undelivered is not None
    end = scripts.undelivered / training.id / "end.json"
    end.write_text(json.dumps({**json.loads(end.read_text()), "uploads": 3}))
    assert delivery.kept_work(scripts.undelivered, training) is None
    end.write_text("{")
    assert delivery.kept_work(scripts.undelivered, training) is None


def test_a_node_that_keeps_no_files_waits_with_new_settings(
    scripts: ScriptMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "backoff", lambda failures: 0.01)
    training = scripts.queued(REPORT + WRITES)
    fill(scripts, "output")
    renewed = FullStore(tmp_path / "artifacts")
    scripts.undelivered, scripts.renew = None, lambda: renewed
    assert scripts.run(training) == 0
    assert stored(scripts, training).status == TrainingStatus.COMPLETED


def test_a_failure_with_a_full_disk_is_the_machines(scripts: ScriptMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script fails because of something that the run finds too."""
    training = scripts.queued("import os\nos.unlink(os.environ['MARK'])\nraise OSError(28, 'No space left')")
    mark = scripts.folder / "mark"
    mark.touch()

    class FullOnceStarted(FullStore):
        def put(self, key: str, source: Path) -> str:
            self.refuses = None if mark.exists() else ""
            return super().put(key, source)

    scripts.artifacts = FullOnceStarted(scripts.folder / "artifacts")
    monkeypatch.setenv("MARK", str(mark))
    assert scripts.run(training) == EXIT_INFRASTRUCTURE
    assert stored(scripts, training).attempts[0].outcome == AttemptOutcome.BLOCKED


def test_the_engines_weights_are_kept_and_delivered(machine: Machine, tmp_path: Path) -> None:
    machine.write_images()
    machine.artifacts, machine.undelivered = FullStore(tmp_path / "artifacts"), tmp_path / "undelivered"
    training = machine.queued(config=SMALL)
    fill(machine, "model.pth")
    assert machine.run(training) == EXIT_INFRASTRUCTURE
    (machine.data / "train.txt").unlink()  # it could not be trained again
    fill(machine, None)
    machine.claim(training)
    assert machine.run(stored(machine, training)) == 0
    done = stored(machine, training)
    assert done.status == TrainingStatus.COMPLETED
    assert {"model", "curves", "log", "tensorboard"} <= done.artifacts.keys()
    assert (done.evaluation or {}).keys() >= {"val_loss", "top1_accuracy"}
    assert Path(done.artifacts["model"]).stat().st_size > 10_000


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_temporary_folder_is_the_machines_trouble(
    scripts: ScriptMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = scripts.queued(REPORT)
    with tmpfs(tmp_path / "small", "512k") as small:
        monkeypatch.setattr(tempfile, "tempdir", str(small))
        (small / "filler").write_bytes(bytes(400_000))
        assert scripts.run(training) == EXIT_INFRASTRUCTURE
        row = stored(scripts, training)
        assert (row.status, row.attempts[0].outcome) == (TrainingStatus.NEW, AttemptOutcome.BLOCKED)
        assert "cannot be written (No space left on device). Make room" in (row.attempts[0].reason or "")
        (small / "filler").unlink()
        with pytest.raises(MachineTrouble, match="No such file"):
            check_folder(small / "gone")
        own = small / "own"
        own.mkdir()
        (own / "filler").write_bytes(bytes(400_000))
        assert find_trouble(scripts.artifacts, own) is None  # it was the attempt itself that had filled the disk


def test_a_training_that_is_to_have_gpus_does_not_start_without_them(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the cluster's trouble: an image without CUDA, a node without a driver."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    training = machine.queued(resources=Resources(gpus=1))
    assert machine.run(training) == EXIT_INFRASTRUCTURE
    row = machine.store.trainings.get_training(training.id)
    assert (row.status, row.attempts[0].outcome) == (TrainingStatus.NEW, AttemptOutcome.BLOCKED)
    assert "its process sees 0 of 1 GPU that it is to have" in (row.attempts[0].reason or "")
    check_gpus(0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    check_gpus(2)
    with pytest.raises(MachineTrouble, match="sees 2 of 4 GPUs"):
        check_gpus(4)
