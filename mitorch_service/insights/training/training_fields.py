"""The fields of one training, in the order and the words in which people read them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from mitorch_service.insights.cost import cost_fields
from mitorch_service.insights.search.pausing import pausing_fields
from mitorch_service.insights.training.script_fields import script_fields
from mitorch_service.insights.training.training import TrainingReport
from mitorch_service.insights.waiting.remaining import training_remaining
from mitorch_service.models.result import EpochResult
from mitorch_service.models.status import ENDED
from mitorch_service.models.training import Training, done_text
from mitorch_service.wording.elapsed import duration_text


def training_fields(report: TrainingReport, now: datetime) -> list[tuple[str, object]]:
    """Names and values; a value is None where there is nothing to show."""
    training = report.training
    trial = training.trial
    refit = training.refit
    parameters = trial.parameters if trial is not None else refit and refit.parameters
    return [
        ("training", training.id),
        ("name", training.name),
        ("status", training.status),
        *_progress_fields(training, now),
        ("tags", training.tags),
        ("user note", training.user_note),
        ("submitted by", training.submitted_by),
        ("priority", training.priority),
        ("dataset", training.dataset),
        ("job", training.job_id),
        ("trial", None if trial is None else trial.number),
        ("final training of", refit and refit.job_id),
        ("parameters", parameters),
        *pausing_fields(training),
        ("model", training.config.get("model", {}).get("name")),
        *script_fields(training.config),
        ("resources", training.resources and training.resources.model_dump(exclude_none=True)),
        *(cost_fields(report.cost) if training.imported_from is None else []),
        ("created", training.created_at),
        *_import_fields(training),
        ("evaluation", training.evaluation),
        *((f"artifact {name}", address) for name, address in training.artifacts.items()),
    ]


def _progress_fields(training: Training, now: datetime) -> list[tuple[str, object]]:
    progress = training.progress
    if progress is None or training.status in ENDED:
        return []
    left = duration_text(training_remaining(training, now))
    done = f"{done_text(training)} {'epochs ' if training.max_steps is None else ''}done"
    return [("progress", f"{done}, about {left} left" if left else done)]


def _import_fields(training: Training) -> list[tuple[str, object]]:
    """The origin of an imported training, which has no attempts to show, and what of it is not here."""
    origin = training.imported_from
    if origin is None:
        return []
    ended = training.status_times.get(training.status)
    by_step = "each epoch of the curve is one point: see its step" if origin.axis == "step" else None
    return [
        ("ended", ended),
        ("parameters", training.config.get("parameters") or None),
        ("imported from", origin),
        ("imported", origin.imported_at),
        ("read from", origin.place),
        ("curve", by_step),
        ("renamed", origin.renamed or None),
        ("left out", "; ".join(origin.left_out) or None),
    ]


def measured_metrics(training: Training, curve: Iterable[EpochResult]) -> list[str]:
    """The names of all metrics of a curve, the objectives of a trial first."""
    objectives = training.trial.all_objectives() if training.trial else []
    names = dict.fromkeys(name for result in curve for name in result.metrics)
    return sorted(names, key=lambda name: name not in objectives)
