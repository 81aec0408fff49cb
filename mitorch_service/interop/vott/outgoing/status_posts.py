"""Writes what a training's status address is told, with the fields that VoTT-train describes. Pure.

A progress of 1 is told once, at the end: by then the model is where it was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mitorch_service.models.callback import Callback
from mitorch_service.models.result import EpochResult
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.status import ENDED, TrainingStatus
from mitorch_service.models.training import TrainingRow

# The part of the loss that is about classes, by the names that detectors give to it; else the whole one is told.
_CLASSIFICATION = ("classification", "classifier")
_MOST_ERROR = 1000  # characters
_WITHOUT_MODEL = 0.99  # the progress of a completed training whose model is not where it belongs

Payload = dict[str, float | int | str | None]


@dataclass(frozen=True)
class StatusPost:
    """A payload, and what is recorded once it was posted."""

    payload: Payload
    recorded: Mapping[str, int | bool]
    is_last: bool = False


@dataclass(frozen=True)
class Ending:
    """The state of the end, beside the training itself."""

    waits: bool = False  # whether something is to be done, or told, before it
    trouble: str | None = None  # why the model could not be stored


def status_posts(
    row: TrainingRow, callback: Callback, results: Sequence[EpochResult], ending: Ending
) -> Iterator[StatusPost]:
    """Yields what is to be posted now, in its order: the end of each epoch, then the step that the training is at, or
    its end. `results`: the epochs behind the last that was posted, or the first of them."""
    has_ended = row.status in ENDED and not ending.waits
    last = results[-1].epoch if results else callback.posted_epoch
    for result in results:
        if result.epoch == last and (row.status in ENDED or last == _total(row)):
            break  # the end tells it
        recorded = {"posted_epoch": result.epoch, "posted_step": 0}
        yield StatusPost(_payload(row, result.epoch, _steps(row), _loss(result)), recorded)
    if has_ended and not callback.final_posted:
        yield _end(row, results[-1] if results else None, last, ending.trouble)
    elif row.status not in ENDED and (step := _step(row, callback, last)) is not None:
        yield step


def rejection(reason: str) -> Payload:
    """Returns what is posted of a message that became no training."""
    none: Payload = dict.fromkeys(("epoch_current", "epoch_total", "step_current", "steps_per_epoch"), 0)
    return {"progress": 0.0, **none, "classification_loss": None, "error": _shown(reason)}


def _step(row: TrainingRow, callback: Callback, last: int) -> StatusPost | None:
    step = row.step
    if row.status != TrainingStatus.RUNNING or step is None or step.attempt != row.attempt:
        return None
    if step.epoch != last + 1 or step.step <= callback.posted_step * (last == callback.posted_epoch):
        return None
    if step.step >= step.steps:  # the end of the epoch is told, once its validation is done
        return None
    payload = _payload(row, step.epoch, step.step, step.loss)
    return StatusPost(payload, {"posted_step": step.step})


def _end(row: TrainingRow, result: EpochResult | None, last: int, trouble: str | None) -> StatusPost:
    payload = _payload(row, last, _steps(row) if last else 0, None if result is None else _loss(result))
    if result is None and row.progress is not None:
        payload["classification_loss"] = row.progress.train_loss
    if row.status == TrainingStatus.COMPLETED:
        payload |= {"progress": 1.0}
    else:
        why = row.attempts[-1].reason if row.attempts else None
        payload |= {"error": _shown(f"{row.status}: {why}" if why else row.status.value)}
    if trouble is not None:
        shown = min(payload["progress"] or 0.0, _WITHOUT_MODEL)
        payload |= {"progress": shown, "error": _shown(f"the model could not be stored: {trouble}")}
    return StatusPost(payload, {"posted_epoch": last, "posted_step": 0, "final_posted": True}, is_last=True)


def _payload(row: TrainingRow, epoch: int, step: int, loss: float | None) -> Payload:
    steps, total = _steps(row), _total(row)
    done = max(0, epoch - 1) + min(step / steps, 1.0) if epoch else 0.0
    return {
        "progress": round(min(done / total, 1.0), 6) if total else 0.0,
        "epoch_current": epoch,
        "epoch_total": total,
        "step_current": step,
        "steps_per_epoch": steps,
        "classification_loss": loss if loss is None or math.isfinite(loss) else None,
    }


def _total(row: TrainingRow) -> int:
    """The epochs of a training; of one by steps, the times that it is validated. 0: not known."""
    if row.max_steps is None:
        return row.max_epochs
    return -(-row.max_steps // _steps(row)) if row.step is not None else 0


def _steps(row: TrainingRow) -> int:
    """The steps of an epoch; 1 if the run has recorded none."""
    return row.step.steps if row.step is not None and row.step.steps > 0 else 1


def _loss(result: EpochResult) -> float | None:
    return next((result.losses[name] for name in _CLASSIFICATION if name in result.losses), result.train_loss)


def _shown(reason: str) -> str:
    return mask_secrets(reason)[:_MOST_ERROR]
