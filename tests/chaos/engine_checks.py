"""The checks of the engine's trainings, at the end of a chaos run: beside those that hold for scripts, too."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Training, run_name
from tests.chaos.engine_evidence import MODEL
from tests.chaos.evidence import Evidence


def of_engine(evidence: Evidence, training: Training) -> Iterator[str]:
    """Yields what does not hold, in words."""
    yield from _of_resumption(evidence, training)
    yield from _of_curve(evidence, training)
    if training.status == TrainingStatus.COMPLETED:
        yield from _of_completed(evidence, training)


def _of_resumption(evidence: Evidence, training: Training) -> Iterator[str]:
    """An attempt that trains goes on where the newest checkpoint is that was there before it began, epoch by epoch."""
    seen = evidence.engine.checkpoints.get(training.id, {})
    for attempt, notes in groupby(evidence.notes.get(training.id, ()), lambda note: int(note["attempt"])):
        found = [*notes]
        if not any(note["event"] == "start" for note in found):
            continue  # it was killed before, or has delivered what one before it had trained
        first = next((note["from"] for note in found if note["event"] == "resume"), 1)
        done = max((epochs for before, epochs in seen.items() if before < attempt), default=0)
        if first <= done:
            yield f"attempt {attempt} began with epoch {first}, though there was a checkpoint after epoch {done}"
        epochs = [note["epoch"] for note in found if note["event"] == "report"]
        if epochs != list(range(first, first + len(epochs))):
            yield f"attempt {attempt} began with epoch {first}, and trained the epochs {epochs}"


def _of_curve(evidence: Evidence, training: Training) -> Iterator[str]:
    """Killed and resumed or not, a training gives the same curve to the last bit."""
    expected = evidence.engine.undisturbed[training.id].losses
    for record in evidence.records.get(training.id, []):
        losses = [record.train_loss, record.val_loss]
        if record.epoch > len(expected) or losses != expected[record.epoch - 1]:
            yield f"epoch {record.epoch} is recorded with the losses {losses}; an undisturbed training has others"


def _of_completed(evidence: Evidence, training: Training) -> Iterator[str]:
    engine = evidence.engine
    expected, files = engine.undisturbed[training.id], engine.files[training.id]
    epochs = len(evidence.records.get(training.id, []))
    if epochs != len(expected.losses):
        yield f"it is completed with {epochs} of {len(expected.losses)} epochs"
    if training.evaluation != expected.evaluation:
        yield f"it is completed with {training.evaluation} in place of {expected.evaluation}"
    models = [key for key in files if key.endswith(".pth")]
    if models != [MODEL] or not training.artifacts.get("model", "").endswith(f"{training.id}/{MODEL}"):
        yield f"its model is {training.artifacts.get('model')}, and there are {models}"
    elif engine.models[training.id] != expected.digest:
        yield f"its model is another one than that of an undisturbed training: {engine.models[training.id]}"
    left = [key for key in files if key.startswith("checkpoint-")]
    if left and run_name(training.id, training.attempt) not in evidence.touched:
        yield f"it is completed, and its checkpoints are still there: {left}"
