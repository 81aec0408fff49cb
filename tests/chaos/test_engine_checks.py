"""Each check of the engine's trainings notices what it is for; logs and checkpoints are read as they are written."""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Attempt, Training, run_name
from mitorch_service.runs.bounded_log import BoundedLog
from tests.chaos.checks import violations
from tests.chaos.engine_evidence import MODEL, Undisturbed, read_logs
from tests.chaos.engine_work import engine_config
from tests.chaos.evidence import Evidence, Record
from tests.chaos.folders import Folders
from tests.chaos.seen_checkpoints import SeenCheckpoints

ID = "00000000-0000-4000-8000-000000000001"
AT = datetime(2026, 1, 1, tzinfo=UTC)
LOSSES = [[0.9, 0.8], [0.7, 0.6]]
LOGS = (
    ("training on cpu: 160 images", "epoch 1  train_loss 0.9000  val_loss 0.8000"),
    (
        "Resuming from a checkpoint: epoch 2, step 1.",
        "training on cpu: 160 images",
        "epoch 2  train_loss 0.7000  val_loss 0.6000",
        "attempt 2 ended: completed",
    ),
)
Doctor = Callable[[Evidence], object]


def _training() -> Training:
    attempts = [
        Attempt(number=n, cluster="local", run_name=run_name(ID, n), queued_at=AT, ended_at=AT, outcome=outcome)
        for n, outcome in enumerate((AttemptOutcome.LOST, AttemptOutcome.COMPLETED), 1)
    ]
    return Training(
        id=ID,
        status=TrainingStatus.COMPLETED,
        arrival=1,
        created_at=AT,
        dataset=DatasetRef(name="chaos", version=1),
        config={"model": {}, "max_epochs": 2},
        attempt=2,
        attempts=attempts,
        evaluation={"val_loss": 0.6},
        artifacts={"model": f"/home/artifacts/{ID}/{MODEL}"},
    )


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """A training's runs, with the logs as they are written."""
    found = Folders(tmp_path)
    log = logging.Logger("chaos")
    for number, lines in enumerate(LOGS, 1):
        place = found.home / "runs" / run_name(ID, number)
        place.mkdir(parents=True)
        handler = BoundedLog(place / "log.txt")
        log.addHandler(handler)
        for line in lines:
            log.info(line)
        log.removeHandler(handler)
        handler.close()
    return found


@pytest.fixture
def evidence(folders: Folders) -> Evidence:
    """Evidence of a training that was lost after its first epoch, went on from its checkpoint and completed."""
    training = _training()
    found = Evidence(trainings={ID: training}, accepted={ID})
    found.counts = found.corrected = {"completed": 1}
    found.runs = {attempt.run_name for attempt in training.attempts}
    found.touched = {run_name(ID, 1)}
    found.notes = dict(read_logs(folders, [training]))
    found.records[ID] = [Record(n, n, losses[1], losses[0]) for n, losses in enumerate(LOSSES, 1)]
    found.engine.undisturbed[ID] = Undisturbed(LOSSES, {"val_loss": 0.6}, "digest")
    found.engine.files[ID] = ["attempt-2/log.txt", MODEL]
    found.engine.models[ID] = "digest"
    found.engine.checkpoints[ID] = {1: 1}
    return found


def _change(**fields: object) -> Doctor:
    def doctor(evidence: Evidence) -> None:
        evidence.trainings[ID] = evidence.trainings[ID].model_copy(update=fields)

    return doctor


def _from_the_start(evidence: Evidence) -> None:
    evidence.notes[ID] = [note for note in evidence.notes[ID] if note["event"] != "resume"]


_DOCTORED: dict[str, tuple[Doctor, str]] = {
    "a checkpoint that is not used": (
        _from_the_start,
        "attempt 2 began with epoch 1, though there was a checkpoint after epoch 1",
    ),
    "an old checkpoint": (
        lambda e: e.engine.checkpoints[ID].update({1: 2}),
        "attempt 2 began with epoch 2, though there was a checkpoint after epoch 2",
    ),
    "an epoch trained twice": (
        lambda e: e.notes[ID].insert(1, e.notes[ID][1]),
        "attempt 1 began with epoch 1, and trained the epochs [1, 1]",
    ),
    "a run started twice": (lambda e: e.notes[ID].insert(0, e.notes[ID][0]), "attempt 1 was started 2 times"),
    "another curve": (
        lambda e: e.records[ID].__setitem__(1, Record(2, 2, 0.6000001, 0.7)),
        "epoch 2 is recorded with the losses [0.7, 0.6000001]",
    ),
    "an epoch too many": (
        lambda e: e.records[ID].append(Record(3, 2, 0.5, 0.5)),
        "it is completed with 3 of 2 epochs",
    ),
    "a missing epoch": (lambda e: e.records[ID].pop(), "it is completed with 1 of 2 epochs"),
    "an epoch of nobody": (
        lambda e: e.records[ID].__setitem__(1, Record(2, 1, 0.6, 0.7)),
        "epoch 2 is recorded by attempt 1, and none until then has reported it",
    ),
    "another evaluation": (_change(evaluation={"val_loss": 0.5}), "it is completed with {'val_loss': 0.5}"),
    "no model": (lambda e: e.engine.files[ID].remove(MODEL), "and there are []"),
    "two models": (lambda e: e.engine.files[ID].append("x.pth"), "and there are ['model.pth', 'x.pth']"),
    "the address of another model": (_change(artifacts={"model": f"/{MODEL}"}), f"its model is /{MODEL}"),
    "another model": (lambda e: e.engine.models.update({ID: "other"}), "its model is another one"),
    "a checkpoint left": (
        lambda e: e.engine.files[ID].append("checkpoint-000002/state.pt"),
        "its checkpoints are still there",
    ),
    "given up while it lived": (
        lambda e: e.outlived.add(run_name(ID, 1)),
        "attempt 1 was given up, and still lived beside the next one",
    ),
}


def test_nothing_is_found_where_nothing_is_wrong(evidence: Evidence) -> None:
    assert violations(evidence) == []


@pytest.mark.parametrize("name", _DOCTORED)
def test_what_is_wrong_is_found(name: str, evidence: Evidence) -> None:
    doctored = deepcopy(evidence)
    doctor, expected = _DOCTORED[name]

    doctor(doctored)

    assert any(expected in text for text in violations(doctored)), violations(doctored)


def test_a_run_that_recorded_its_scripts_end_may_still_be_exiting(evidence: Evidence) -> None:
    evidence.outlived.add(run_name(ID, 1))
    attempts = evidence.trainings[ID].attempts
    attempts[0] = attempts[0].model_copy(update={"reason": "the script was killed by SIGKILL"})
    assert violations(evidence) == []


def test_a_failed_training_need_not_have_a_model(evidence: Evidence) -> None:
    attempts = [attempt.model_copy(update={"outcome": AttemptOutcome.LOST}) for attempt in _training().attempts] * 2
    attempts = [
        attempt.model_copy(update={"number": n, "run_name": run_name(ID, n)}) for n, attempt in enumerate(attempts, 1)
    ][:3]
    _change(status=TrainingStatus.FAILED, attempt=3, attempts=attempts, evaluation=None, artifacts={})(evidence)
    evidence.touched = {run_name(ID, n) for n in (1, 2, 3)}
    evidence.counts = evidence.corrected = {"failed": 1}
    evidence.engine.files[ID] = ["checkpoint-000002/state.pt"]
    assert violations(evidence) == []


def test_the_newest_checkpoint_is_known_by_the_last_attempt_that_had_begun(folders: Folders) -> None:
    seen = SeenCheckpoints(folders)
    first, second = (run_name(ID, number) for number in (1, 2))
    assert [*seen.look([first])] == []
    for number in (1, 2):
        (folders.artifacts / ID / f"checkpoint-{number:06d}").mkdir(parents=True)
        (folders.artifacts / ID / f"checkpoint-{number:06d}" / "state.pt").touch()

    assert [*seen.look([second, "mt-other"])] == [second]
    assert seen.epochs[ID] == {2: 2}
    assert [*seen.look([second])] == []
    assert not seen.has_resumed()

    (folders.home / "runs" / run_name(ID, 3)).mkdir()
    assert [*seen.look([run_name(ID, 3)])] == []
    assert not seen.has_resumed()
    (folders.artifacts / ID / "checkpoint-000003").mkdir()
    (folders.artifacts / ID / "checkpoint-000003" / "state.pt").touch()
    assert [*seen.look([run_name(ID, 3)])] == []
    assert seen.has_resumed()
    assert seen.epochs[ID] == {2: 2, 3: 3}


def test_the_engines_trainings_have_few_configs() -> None:
    epochs = [engine_config(number)["max_epochs"] for number in range(4)]
    assert epochs == [4, 3, 2, 4]
