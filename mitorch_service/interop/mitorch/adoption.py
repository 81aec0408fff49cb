"""Translates trainings and jobs that other programs have inserted, as MiTorch's own page prints them, into ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.interop.mitorch.foreign_fields import ForeignFields, own_id
from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.search.job import Job, SearchConfig
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.models.training import Training, TrainingErrorInfo, next_arrival
from mitorch_service.stores.verbs.trainings import Kind

_OTHER = {
    "training": "describes a search, which belongs into the collection jobs",
    "job": 'describes no search: it needs "job_type": "search"; a training belongs into the collection trainings',
}
_REMEDY = "correct it there and insert it again, or submit its config with misubmit"


@dataclass(frozen=True)
class ForeignSubmission:
    """The submission that a document asks for: a config file as misubmit takes it, and the values of its options."""

    id: str
    kind: Kind
    file: dict[str, Any]
    dataset: DatasetRef | None
    priority: int
    name: str | None
    tags: tuple[str, ...]
    submitted_by: str | None
    created_at: datetime


def translate_document(
    build: Callable[[ForeignSubmission], Training | Job], kind: Kind, found: Mapping[str, Any], now: datetime
) -> Training | Job:
    """Returns a new training or job, or a failed one whose error says what is wrong with which field. `build` checks
    what is asked for as a submission, or raises InvalidInput; a document without a time was created at `now`."""
    fields = ForeignFields(found)
    asked = _read(fields, kind, now)
    problems = fields.problems
    if ("job_type" in asked.file) != (kind == "job") and not problems:
        problems.append(Problem("config", _OTHER[kind]))
    if not problems:
        try:
            return build(asked)
        except InvalidInput as invalid:
            problems += invalid.problems if _is_own_file(fields) else map(_within, invalid.problems)
    return _failed(asked, problems, now)


def _read(fields: ForeignFields, kind: Kind, now: datetime) -> ForeignSubmission:
    return ForeignSubmission(
        id=own_id(fields.document["_id"]),
        kind=kind,
        file=_file_of(fields),
        dataset=fields.dataset(),
        priority=fields.priority(),
        name=fields.name(),
        tags=tuple(_tags(fields)),
        submitted_by=fields.submitted_by(),
        created_at=fields.created_at(now),
    )


def _tags(fields: ForeignFields) -> list[str]:
    """The tags, with the `_id` under which it was inserted if that can be none of ours."""
    key = fields.document["_id"]
    tags = fields.tags()
    return tags if key == own_id(key) or isinstance(key, bytes) else [*tags, f"inserted_as={key}"[:200]]


def _file_of(fields: ForeignFields) -> dict[str, Any]:
    """The config file: of a job the config (as the first MiTorch stored it), or the document's own fields."""
    config = fields.config()
    if not _is_own_file(fields):
        return config
    search = fields.document.get("search")
    return {"job_type": fields.document["job_type"], "config": config, **({} if search is None else {"search": search})}


def _is_own_file(fields: ForeignFields) -> bool:
    """Whether the document itself is a job config; one in `config` goes before it."""
    config = fields.document.get("config")
    inner = isinstance(config, Mapping) and "job_type" in config
    return fields.document.get("job_type") is not None and not inner


def _within(problem: Problem) -> Problem:
    """A problem of the config, named by its place in the document."""
    if problem.path.startswith("dataset"):
        return problem
    return Problem(f"config.{problem.path}" if problem.path else "config", problem.message)


def _failed(asked: ForeignSubmission, problems: list[Problem], now: datetime) -> Training | Job:
    message = mask_secrets(f"another program inserted what cannot run: {'; '.join(map(str, problems))} ({_REMEDY})")
    common: dict[str, Any] = {
        "id": asked.id,
        "arrival": next_arrival(),
        "priority": asked.priority,
        "created_at": asked.created_at,
        "status_times": {"new": asked.created_at, "failed": now},
        "dataset": asked.dataset or NO_DATASET,
        "name": asked.name,
        "tags": list(asked.tags),
        "submitted_by": asked.submitted_by,
        "config": asked.file,
    }
    if asked.kind == "job":
        return Job(status=JobStatus.FAILED, search=SearchConfig(max_trials=1), error=message, **common)
    error = TrainingErrorInfo(type="InvalidDocument", message=message)
    return Training(status=TrainingStatus.FAILED, error=error, **common)
