"""Makes a valid document of a damaged one by leaving out what cannot be read. Pure."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from mitorch_service.models.base import DAMAGED, Document
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.search.job import trial_id
from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import MAX_ATTEMPTS, run_name

Model = TypeVar("Model", bound=Document)
Path = tuple[int | str, ...]

_MOST = 1000  # values that are left out


class NotMendable(ValueError):
    """A field is lost without which the document is none. Its message is the field's path."""


def mend(model: type[Model], stored: dict[str, Any]) -> tuple[Model, list[str]]:
    """Returns the document without the values that the model refuses, and the paths of these. Raises NotMendable."""
    fields = copy.deepcopy({name: value for name, value in stored.items() if name not in (DAMAGED, "_id")})
    fields["id"] = stored["_id"]
    lost: list[str] = []
    for _ in range(_MOST):
        try:
            return model.model_validate(fields), lost
        except ValidationError as error:
            path = _known(fields, error.errors(include_url=False)[0]["loc"])
            if not path or path == ("id",):
                raise NotMendable(".".join(map(str, error.errors()[0]["loc"]))) from error
            _drop(fields, path)
            lost.append(".".join(map(str, path)))
    raise NotMendable(lost[-1])


def restore_training(stored: dict[str, Any], job_arrival: int | None) -> dict[str, Any]:
    """Returns the stored training with what other fields tell: a time for each attempt that is lost, the number of a
    trial (`job_arrival`: of its job, if that is known), and an invalid status as `failed`."""
    fields = _with_times(_as_ours(stored), TrainingStatus.FAILED, {status.value for status in TrainingStatus})
    trial, arrival = fields.get("trial"), fields.get("arrival")
    known = job_arrival is not None and _is_count(arrival)
    if known and isinstance(trial, dict) and not _is_count(trial.get("number")):
        number = int(str(arrival)) - int(str(job_arrival))  # a trial's arrival is its job's plus its number
        if trial_id(str(fields.get("job_id")), number) == fields["_id"]:
            fields["trial"] = {**trial, "number": number}
    attempts, last = fields.get("attempts"), fields.get("attempt")
    if _is_count(last) and int(str(last)) <= MAX_ATTEMPTS:
        records = attempts if isinstance(attempts, list) else []
        fields["attempts"] = [_attempt(fields, records, number) for number in range(1, int(str(last)) + 1)]
    return fields


def restore_job(stored: dict[str, Any]) -> dict[str, Any]:
    """Returns the stored job with what other fields tell, and an invalid status as `failed`."""
    return _with_times(_as_ours(stored), JobStatus.FAILED, {status.value for status in JobStatus})


def _as_ours(stored: dict[str, Any]) -> dict[str, Any]:
    """The data set as an object and the time with its zone, of documents that other programs have written as MiTorch's
    own page prints them."""
    fields, config = {**stored}, stored.get("config")
    named = stored.get("dataset", config.get("dataset") if isinstance(config, dict) else None)
    if isinstance(named, str):
        with suppress(ValueError):
            fields["dataset"] = DatasetRef.parse(named).to_document()
    created = stored.get("created_at")
    if isinstance(created, str):
        with suppress(ValueError):
            created = datetime.fromisoformat(created)
    if isinstance(created, datetime) and created.tzinfo is None:
        fields["created_at"] = created.replace(tzinfo=UTC)
    return fields


def _with_times(fields: dict[str, Any], failed: str, statuses: set[str]) -> dict[str, Any]:
    if not isinstance(fields.get("status"), str) or fields["status"] not in statuses:
        fields["status"] = failed
    created, arrival = fields.get("created_at"), fields.get("arrival")
    at = _time(created)
    if at is None and _is_count(arrival):
        try:
            fields["created_at"] = datetime.fromtimestamp(int(str(arrival)) / 1e6, UTC)
        except (ValueError, OverflowError, OSError):  # that is no time either
            return fields
    if at is not None and not _is_count(arrival):
        fields["arrival"] = int(at.timestamp() * 1e6)
    return fields


def _attempt(fields: dict[str, Any], known: Sequence[Any], number: int) -> dict[str, Any]:
    """The record of an attempt, or one that says that it is lost."""
    found = known[number - 1] if number <= len(known) else None
    if isinstance(found, dict) and found.get("number") == number and _time(found.get("queued_at")) is not None:
        named = (found.get("cluster"), found.get("run_name"))
        if all(isinstance(name, str) for name in named):
            return found
    reason = "its record could not be read"
    name = run_name(str(fields["_id"]), number)
    outcome = AttemptOutcome.LOST.value
    at = fields.get("created_at")
    return {"number": number, "cluster": "-", "run_name": name, "queued_at": at, "outcome": outcome, "reason": reason}


def _time(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, datetime) and value.tzinfo is not None else None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _known(fields: Any, path: Path) -> Path:
    """The longest beginning of the path that leads to a value."""
    for length, step in enumerate(path):
        try:
            fields = fields[step]
        except (KeyError, IndexError, TypeError):
            return path[:length]
    return path


def _drop(fields: Any, path: Path) -> None:
    for step in path[:-1]:
        fields = fields[step]
    del fields[path[-1]]
