"""Turns a user's file into documents in the queue: everything is checked before anything is written."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from pydantic import JsonValue

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.base import new_id
from mitorch_service.models.config.legacy_formats import is_exp_config, is_legacy_task, is_obdb
from mitorch_service.models.config.script import check_config, is_script
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.config.validation import check
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.labels import name_problems, priority_problems, tag_problems
from mitorch_service.models.new_training import new_training
from mitorch_service.models.search.job import Job, JobConfig, SearchConfig
from mitorch_service.models.status import JobStatus
from mitorch_service.models.training import DEFAULT_MAX_EPOCHS, DEFAULT_PRIORITY, Training, next_arrival
from mitorch_service.search.space.expressions import KNOWN
from mitorch_service.search.space.space import parse_space
from mitorch_service.stores.base import Store
from mitorch_service.submission.checks.check_job import (
    algorithm_problems,
    final_training_problems,
    metric_problems,
    space_problems,
    within_config,
)
from mitorch_service.submission.lookups import Lookups
from mitorch_service.submission.script_code import ConfigCheck, with_code
from mitorch_service.submission.script_files import file_problems

_NO_TRAINING = (
    "search-space expressions are for a search only: write "
    '{"job_type": "search", "config": {this file}, "search": {"max_trials": 20}}'
)


@dataclass(frozen=True)
class Options:
    """The values that the command line adds to a file."""

    priority: int = DEFAULT_PRIORITY
    dataset: DatasetRef | None = None
    name: str | None = None
    tags: tuple[str, ...] = ()
    user: str | None = None

    def __post_init__(self) -> None:
        """Raises InvalidInput for a priority out of bounds, a name or a tag that is too long, or for too many tags."""
        if problems := list(priority_problems(self.priority)):
            raise InvalidInput("--priority", problems)
        if self.name is not None and (problems := list(name_problems(self.name))):
            raise InvalidInput("--name", problems)
        if problems := list(tag_problems(self.tags)):
            raise InvalidInput("--tag", problems)


@dataclass(frozen=True)
class Submission:
    """A checked file: all that its document needs except id, time and options. With a `search` it is a job."""

    dataset: DatasetRef  # at its version
    config: dict[str, JsonValue]
    search: SearchConfig | None = None

    def to_document(self, id: str, options: Options, now: datetime) -> Training | Job:
        """Builds the document to write; nothing is validated again."""
        if self.search is None:
            return new_training(id, self.config, self.dataset, now, next_arrival(), **_fields(options))
        return Job(
            id=id,
            status=JobStatus.NEW,
            arrival=next_arrival(),
            created_at=now,
            status_times={"new": now},
            dataset=self.dataset,
            config=self.config,
            search=self.search,
            **_fields(options),
        )


def build_submission(
    store: Store,
    source: str,
    data: Mapping[str, JsonValue],
    options: Options,
    now: datetime,
    extra_check: ConfigCheck = lambda config, written: [],
) -> Training | Job:
    """Builds the document for `data` (a parsed file), not yet written. Raises what check_submission raises."""
    submission = check_submission(Lookups(store, lambda: now), source, data, options.dataset, extra_check)
    return submission.to_document(new_id(), options, now)


def check_submission(
    lookups: Lookups, source: str, data: Mapping[str, JsonValue], dataset: DatasetRef | None, extra_check: ConfigCheck
) -> Submission:
    """Checks `data` (a parsed file), on `dataset` or else the file's own. Raises InvalidInput with every problem, named
    by its path in the file; StoreUnavailable if data set or base cannot be looked up."""
    if is_obdb(data):
        message = "is a settings file of obdb, of which several documents are made: submit it by itself"
        raise InvalidInput(source, [Problem("", message)])
    if is_exp_config(data):
        message = (
            "is an exp_config.json, for which a data set may have to be registered: submit it by misubmit, by itself"
        )
        raise InvalidInput(source, [Problem("", message)])
    if is_legacy_task(data):
        from mitorch_service.submission.legacy_task import job_of_task

        data, problems = job_of_task(data)
        if problems:
            raise InvalidInput(source, problems)
    check_kind = _check_job if "job_type" in data else _check_training
    submission, problems = check_kind(lookups, data, dataset, extra_check)
    if problems or submission is None:
        raise InvalidInput(source, problems)
    return submission


def submit(store: Store, document: Training | Job) -> str:
    """Queues the document by one atomic insert; returns its id. Calling again with the same document, after a lost
    answer, adds nothing."""
    store.prepare()
    if isinstance(document, Job):
        store.jobs.add_job(document)
    else:
        store.queue.add_trainings([document])
    return document.id


def parse_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Checks each tag. Raises InvalidInput."""
    if problems := list(tag_problems(tags)):
        raise InvalidInput("--tag", problems)
    return tuple(dict.fromkeys(tags))


class _Fields(TypedDict):
    priority: int
    name: str | None
    tags: list[str]
    submitted_by: str | None


def _fields(options: Options) -> _Fields:
    return {
        "priority": options.priority,
        "name": options.name,
        "tags": list(options.tags),
        "submitted_by": options.user,
    }


def _check_training(
    lookups: Lookups, data: Mapping[str, JsonValue], given: DatasetRef | None, extra_check: ConfigCheck
) -> tuple[Submission | None, list[Problem]]:
    config, problems = check_config(data)
    if names := list(_expressions(data, "")):  # some fields would take them for plain values
        problems = [Problem(", ".join(names), _NO_TRAINING)]
    else:
        problems += extra_check(config, data)
    if not any(problem.path == "base" for problem in problems):
        problems += lookups.base_problems(config.base if isinstance(config, TrainingConfig) else data.get("base"))
    dataset = lookups.pin(given or _dataset_of(data), problems, is_script(data))
    if not problems and is_script(data):
        problems += file_problems(lookups, [data], dataset)
    if problems or config is None or dataset is None:
        return None, problems
    whole, problems = with_code(config.model_dump(mode="json", exclude_unset=True), extra_check)
    return Submission(dataset, whole), problems


def _expressions(value: JsonValue | Mapping[str, JsonValue], path: str) -> Iterator[str]:
    """The paths of the outermost search-space expressions."""
    if isinstance(value, Mapping):
        if not value.keys().isdisjoint(KNOWN):
            yield path
            return
        for key, item in value.items():
            yield from _expressions(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _expressions(item, f"{path}[{index}]")


def _check_job(
    lookups: Lookups, data: Mapping[str, JsonValue], given: DatasetRef | None, extra_check: ConfigCheck
) -> tuple[Submission | None, list[Problem]]:
    job, problems = check(JobConfig, data)
    written = data.get("config")
    config: dict[str, JsonValue] = written if isinstance(written, dict) else {}
    space, broken = parse_space(config)
    if isinstance(written, dict):
        problems += space_problems(lookups, space, broken, extra_check)
    if job is not None:
        problems += metric_problems(job)
    if job is not None and not broken:
        problems += algorithm_problems(lookups, job, space)
    if job is not None and not problems:
        problems += final_training_problems(lookups, job, space, extra_check)
    dataset = lookups.pin(given or _dataset_of(data) or _dataset_of(config), problems, is_script(config))
    if not problems and is_script(config):
        problems += within_config(file_problems(lookups, space.corners(), dataset))
    if problems or job is None or dataset is None:
        return None, problems
    whole, wrong = with_code(_with_epochs(job.config), extra_check)
    return Submission(dataset, whole, _fix_search(job.search)), within_config(wrong)


def _with_epochs(config: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Writes out the epochs that a search's config leaves out, as those of a single training are."""
    return (
        config
        if is_script(config) or {"max_epochs", "max_steps"} & config.keys()
        else {**config, "max_epochs": DEFAULT_MAX_EPOCHS}
    )


def _fix_search(search: SearchConfig) -> SearchConfig:
    """Fixes direction and seed at submission, so that every pass sees the same search."""
    seed = secrets.randbits(31) if search.seed is None else search.seed
    directions = list(search.directions())
    direction = directions[0] if len(directions) == 1 else directions
    return search.model_copy(update={"direction": direction, "seed": seed})


def _dataset_of(data: Mapping[str, JsonValue]) -> DatasetRef | None:
    try:
        value = data.get("dataset")
        if isinstance(value, str):
            return DatasetRef.parse(value)
        return DatasetRef.model_validate(value) if isinstance(value, dict) else None
    except ValueError:
        return None  # reported by the check of the whole file
