"""A run of another system, made into a training that has ended, and the results of its epochs."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mitorch_service.interop.curves import Row, Rows
from mitorch_service.interop.foreign_run import Ending, ForeignRun
from mitorch_service.interop.metric_names import MAX_METRICS, allowed_key, storable, stored_names
from mitorch_service.models.config.script import NO_DATASET, is_secret
from mitorch_service.models.imported import Axis, ImportedFrom
from mitorch_service.models.labels import MAX_NAME, MAX_NOTE, MAX_TAG, MAX_TAGS, changed_tags
from mitorch_service.models.result import EpochResult
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Progress, Training, TrainingErrorInfo
from mitorch_service.wording.counted import counted

_IDS = uuid.UUID("6f0d3f8e-2f5c-5a38-9d0f-0c6d6f2e7a11")  # the namespace of imported trainings' ids; never changes
_STATUS = {
    Ending.FINISHED: TrainingStatus.COMPLETED,
    Ending.FAILED: TrainingStatus.FAILED,
    Ending.KILLED: TrainingStatus.CANCELED,
    Ending.OPEN: TrainingStatus.FAILED,
}
_MAX_PARAMETERS = 500_000  # bytes as JSON
_MAX_DEPTH = 50
_SHORTEST_SECRET = 16  # characters; "pad_token": "<pad>" is none
_OURS = ("train_loss", "val_loss", "learning_rate")


@dataclass(frozen=True)
class TranslationOptions:
    """The choice of how runs become trainings."""

    imported_at: datetime
    points: int = 1000  # rows of a curve
    axis: Axis | None = None  # None: epochs where a run logs them
    tags: Sequence[str] = ()


def training_id(system: str, key: str) -> str:
    """Returns the id of the training that this run becomes, the same whenever it is imported: so the database itself
    refuses it the second time."""
    return str(uuid.uuid5(_IDS, f"{system}:{key}"))


def translate(
    run: ForeignRun, id: str, system: str, place: str, options: TranslationOptions
) -> tuple[Training, list[EpochResult]]:
    """Makes the training and its results."""
    rows = run.curves.rows(options.points, options.axis)
    logged = [name for name in dict.fromkeys([*run.curves, *run.finals]) if name != rows.epochs]
    names = stored_names(logged)
    left_out = [*_lost_points(rows), *(counted(n, kind) for kind, n in sorted(run.left_out.items()))]
    if len(names) < len(logged):
        left_out.append(f"{counted(len(logged) - len(names), 'metric')} beyond {MAX_METRICS}")
    times = _Times(run, rows.rows, options.imported_at)
    results = [_result(row, rows.axis, names, times) for row in rows.rows]
    finals = {name: run.curves[name].last() for name in run.curves} | run.finals
    training = Training(
        id=id,
        status=_STATUS[run.ending],
        arrival=int(times.start.timestamp() * 1e6),
        created_at=times.start,
        status_times={"new": times.start, "running": times.start, _STATUS[run.ending].value: times.end},
        dataset=NO_DATASET,
        config={"parameters": _parameters(run.parameters, left_out)},
        name=_line(run.name, MAX_NAME, "name", left_out),
        tags=_tags(run, system, options.tags, left_out),
        user_note=_line(run.note, MAX_NOTE, "note", left_out),
        submitted_by=_line(run.user, MAX_NAME, "user", left_out),
        max_epochs=results[-1].epoch if results else 0,
        progress=_progress(results[-1]) if results else None,
        evaluation={names[name]: value for name, value in finals.items() if name in names} or None,
        error=_error(run, system),
        imported_from=_origin(run, system, place, options, rows, names, left_out),
    )
    return training, results


def _origin(
    run: ForeignRun,
    system: str,
    place: str,
    options: TranslationOptions,
    rows: Rows,
    names: Mapping[str, str],
    left_out: list[str],
) -> ImportedFrom:
    """Tells where the training comes from, and what it lacks: made last, as `left_out` grows meanwhile."""
    project = _line(run.project, MAX_NAME, "project", left_out)
    return ImportedFrom(
        system=system,
        run=storable(run.id),
        project=project,
        place=mask_secrets(storable(place)),
        imported_at=options.imported_at,
        axis=rows.axis,
        renamed=[storable(f"{name}: {ours}") for name, ours in names.items() if name != ours],
        left_out=[storable(one) for one in left_out],
    )


class _Times:
    """The start and end of a run, as far as they are known, and the time of each row."""

    def __init__(self, run: ForeignRun, rows: Sequence[Row], otherwise: datetime) -> None:
        known = [row.at for row in rows if row.at == row.at]
        first = _time(min(known)) if known else None
        last = _time(max(known)) if known else None
        self.start = run.started_at or first or run.ended_at or otherwise
        self.end = max(self.start, run.ended_at or last or self.start)

    def of(self, row: Row) -> datetime:
        """The time of the last value of a row."""
        return _time(row.at) or self.end


def _time(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _result(row: Row, axis: Axis, names: Mapping[str, str], times: _Times) -> EpochResult:
    values = {names[name]: value for name, value in row.values.items() if name in names}
    metrics = {name: value for name, value in values.items() if name not in _OURS}
    if axis == "step" or row.step != row.number:
        metrics["step" if "step" not in metrics else "logged step"] = row.step
    rate = values.get("learning_rate")
    return EpochResult(
        epoch=row.number,
        train_loss=values.get("train_loss"),
        val_loss=values.get("val_loss"),
        learning_rate=rate,
        metrics=metrics,
        finished_at=times.of(row),
    )


def _progress(last: EpochResult) -> Progress:
    return Progress(
        epoch=last.epoch,
        max_epochs=last.epoch,
        train_loss=last.train_loss,
        val_loss=last.val_loss,
        metrics=last.metrics,
        at=last.finished_at,
    )


def _error(run: ForeignRun, system: str) -> TrainingErrorInfo | None:
    if run.ending == Ending.FINISHED:
        return None
    if run.ending == Ending.OPEN:
        return TrainingErrorInfo(type="Unfinished", message=run.reason or f"{system} has no end of this run")
    message = run.reason or f"{system} says that the run was {run.ending}"
    return TrainingErrorInfo(type=run.ending.capitalize(), message=mask_secrets(message))


def _lost_points(rows: Rows) -> Iterator[str]:
    if rows.left_out:
        interval = "epoch" if rows.axis == "epoch" else "step or interval of steps"
        yield f"{rows.left_out} of {rows.points} points of the curves: the last one of each {interval} is kept"


def _line(text: str | None, longest: int, what: str, left_out: list[str]) -> str | None:
    """The text in one line that can be printed; what does not fit is told."""
    if text is None or not text.strip():
        return None
    line = " ".join("".join(c if c.isprintable() else " " for c in mask_secrets(text)).split())
    if len(line) > longest:
        left_out.append(f"the end of the {what}, which has {len(line)} characters")
        line = line[: longest - 1] + "…"
    return line or None


def _tags(run: ForeignRun, system: str, more: Sequence[str], left_out: list[str]) -> list[str]:
    own = [f"imported={system}", *([f"project={run.project}"] if run.project else [])]
    given = [tag if "=" in tag and tag.partition("=")[0].strip() else f"{tag.strip('= ')}=true" for tag in run.tags]
    lines = [_line(tag, MAX_TAG, "tag", left_out) for tag in [*own, *given]]
    tags = list(dict.fromkeys(line for line in lines if line is not None and not line.startswith("=")))
    room = MAX_TAGS - len(set(more))
    if len(tags) > room:
        left_out.append(f"{counted(len(tags) - room, 'tag')} beyond {MAX_TAGS}")
    return changed_tags(tags[:room], more, ())


def _parameters(parameters: Mapping[str, Any], left_out: list[str]) -> dict[str, Any]:
    masked: list[str] = []
    plain = _plain(parameters, "", masked, 0)
    if masked:
        left_out.append(f"the values of parameters that look like credentials: {', '.join(masked[:5])}")
    size = len(json.dumps(plain, ensure_ascii=False).encode("utf-8", "replace"))
    if size > _MAX_PARAMETERS:
        left_out.append(f"all parameters, which are {size} bytes")
        return {}
    return plain if isinstance(plain, dict) else {}


def _plain(value: object, name: str, masked: list[str], depth: int) -> Any:
    """The value in types that every database holds, without credentials."""
    if depth > _MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {allowed_key(str(key)): _plain(inner, str(key), masked, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, name, masked, depth + 1) for inner in value]
    if isinstance(value, str):
        if len(value) >= _SHORTEST_SECRET and is_secret(name):
            masked.append(name)
            return "***"
        return mask_secrets(storable(value)).replace("\0", "")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    return value if isinstance(value, int | float | None) else str(value)
