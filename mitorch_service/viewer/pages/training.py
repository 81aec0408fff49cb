"""The page of one training: why it failed, its curves, its attempts, its log and its files."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from mitorch_service.controller.observe.cost import training_cost
from mitorch_service.errors import MiTorchError
from mitorch_service.insights.training.attempt_timeline import Phase, Span, timeline, total
from mitorch_service.insights.training.curves import distance_of, measures_of, read_results, value_of
from mitorch_service.insights.training.earlier import Earlier, read_earlier
from mitorch_service.insights.training.lineage import Lineage, read_lineage
from mitorch_service.insights.training.training_files import (
    Table,
    TrainingFile,
    list_files,
    read_table,
    worst_mistakes,
)
from mitorch_service.insights.waiting.remaining import training_remaining
from mitorch_service.models.config.script import code_of, masked_config
from mitorch_service.models.result import EpochResult
from mitorch_service.models.status import ENDED, TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.viewer.charts.sparkline import sparkline
from mitorch_service.viewer.charts.timeline import timeline_bar
from mitorch_service.viewer.context import Context, Given
from mitorch_service.viewer.pages.templates import number, render

router = APIRouter(include_in_schema=False)
_LOG = logging.getLogger(__name__)
_TABLE_ROWS = 200
_MISTAKES = 24
_EPOCHS_SHOWN = 12
_READ = 2_000  # epochs, for the small pictures
_PREDICTIONS = 20_000  # rows that are looked at
SmallCurve = tuple[str, Mapping[str, object], Markup]


@dataclass(frozen=True)
class Files:
    """The files of a training, or why the artifact store could not be asked."""

    files: Sequence[TrainingFile] = ()
    per_class: Table | None = None
    mistakes: Table | None = None
    problem: str | None = None


@router.get("/trainings/{id}")
def show(request: Request, context: Given, id: str) -> Response:
    """The training with this id, or the beginning of it."""
    now = context.clock()
    with context.reading() as store:
        kind, whole = store.trainings.resolve_id(id)
        if kind == "job" or whole != id:
            return RedirectResponse(f"/{kind}s/{whole}", 303)
        training = store.trainings.get_training(whole)
        results = read_results(store, whole, most=_READ)
        latest = store.runs.last_results(whole, _EPOCHS_SHOWN)
        lineage = read_lineage(store, training)
        # A link that opens this page opens no other training's settings.
        earlier = [] if getattr(request.state, "shared", False) else read_earlier(store, training)
    spans = timeline(training, now)
    return _render(request, context, training, results, latest, lineage, earlier, spans, now)


def _render(
    request: Request,
    context: Context,
    training: Training,
    results: Sequence[EpochResult],
    latest: Sequence[EpochResult],
    lineage: Lineage,
    earlier: Sequence[Earlier],
    spans: Sequence[Span],
    now: datetime,
) -> HTMLResponse:
    measures = measures_of(results)
    phases: tuple[Phase, ...] = ("waiting", "starting", "running")
    return render(
        request,
        "training.html",
        training=training,
        title=page_title(training),
        subject=f"training/{training.id}",
        has_ended=training.status in ENDED,
        remaining=training_remaining(training, now),
        cost=training_cost(training.attempts, now),
        bar=timeline_bar(spans),
        phases=[(phase, total(spans, phase)) for phase in phases],
        measures=measures,
        results=latest,
        epochs=latest[0].epoch if distance_of(results, most=_READ) > 1 else len(results),
        small_curves=_small_curves(measures, results),
        value_of=value_of,
        lineage=lineage,
        facts=_facts(training),
        config=json.dumps(_shown_config(training), indent=2, ensure_ascii=False, default=str),
        earlier=earlier,
        stored=code_of(training.config),
        files=_files(context, training),
        failed=training.status in (TrainingStatus.FAILED, TrainingStatus.DIVERGED),
    )


def _shown_config(training: Training) -> Mapping[str, object]:
    """The config, masked, without the record of the code, which the page shows by itself."""
    config = masked_config(training.config)
    script = config.get("script")
    if not isinstance(script, dict):
        return config
    return {**config, "script": {name: value for name, value in script.items() if name != "code"}}


def page_title(training: Training) -> str:
    """The state and the progress first, which is what a tab shows."""
    done, total = training.done()
    of = f" {done}/{total}" if total and done else ""
    return f"{training.status}{of} · {training.name or training.id[:8]}"


def _small_curves(measures: Sequence[str], results: Sequence[EpochResult]) -> list[SmallCurve]:
    """Each chart that the page's script draws, as a picture: its title, the last value of each line, the lines."""
    x, charts = [float(result.epoch) for result in results], dict[str, list[str]]()
    for name in measures:
        charts.setdefault("loss" if name in ("train_loss", "val_loss") else name, []).append(name)
    found: list[SmallCurve] = []
    for title, names in charts.items():
        lines = [[value_of(result, name) for result in results] for name in names]
        last = {name: y[-1] for name, y in zip(names, lines, strict=True)}
        words = ", ".join(f"{name} last {number(value)}" for name, value in last.items())
        found.append((title, last, sparkline(words, x, *lines)))
    return found


def _facts(training: Training) -> Mapping[str, object]:
    """The facts that the head of the page does not show."""
    model = training.config.get("model")
    resources = training.resources.model_dump(exclude_none=True) if training.resources else {}
    return {
        "Model": model.get("name") if isinstance(model, Mapping) else model,
        "Priority": training.priority,
        "Submitted by": training.submitted_by,
        "Resources": ", ".join(f"{name} {value}" for name, value in resources.items()) or None,
        "Retries": training.max_retries or None,
        **_origin(training),
    }


def _origin(training: Training) -> Mapping[str, object]:
    """The run of another system that it was imported from, and what of it is not here."""
    origin = training.imported_from
    if origin is None:
        return {}
    return {
        "Imported from": origin,
        "Read from": origin.place,
        "Renamed": ", ".join(origin.renamed) or None,
        "Left out": "; ".join(origin.left_out) or None,
    }


def _files(context: Context, training: Training) -> Files:
    """An artifact store that does not answer must not take the page away."""
    if not training.attempts:
        return Files()
    try:
        artifacts = context.artifacts
        files = list_files(artifacts, training.id)
        tables = {name: _table(context, training, files, f"{name}.csv") for name in ("per_class", "predictions")}
    except MiTorchError as error:
        return Files(problem=str(error))
    predictions = tables["predictions"]
    mistakes = None if predictions is None else worst_mistakes(predictions, _MISTAKES)
    return Files(files, tables["per_class"], mistakes)


def _table(context: Context, training: Training, files: Sequence[TrainingFile], ending: str) -> Table | None:
    """The newest table of this name."""
    names = sorted(file.name for file in files if file.name.rpartition("/")[2] == ending)
    if not names:
        return None
    most = _PREDICTIONS if ending == "predictions.csv" else _TABLE_ROWS
    return read_table(context.artifacts, training.id, names[-1], most)
