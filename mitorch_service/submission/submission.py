"""Turns a user's file into documents in the queue: everything is checked before anything is written."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.base import new_id
from mitorch_service.models.config import METRICS, TrainingConfig
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.file_kinds import is_obdb, is_task
from mitorch_service.models.job import Job, JobConfig, SearchConfig
from mitorch_service.models.new_training import new_training
from mitorch_service.models.script import NO_DATASET, AnyConfig, check_config, is_script
from mitorch_service.models.status import JobStatus
from mitorch_service.models.training import DEFAULT_PRIORITY, Training, next_arrival
from mitorch_service.models.validation import check, nearest
from mitorch_service.search.space.space import Space, parse_space
from mitorch_service.stores.base import Store
from mitorch_service.submission.lookups import Lookups
from mitorch_service.submission.script_code import with_code

# Checks that need more than the models: of the validated config (None if its form is wrong), and of the written one. A
# CodeKeeper keeps code as well.
ConfigCheck = Callable[[AnyConfig | None, Mapping[str, Any]], list[Problem]]

_NO_TRAINING = (
    "holds expressions, which belong to a search: write "
    '{"job_type": "search", "config": {this file}, "search": {"max_trials": 20}}'
)
_NUMBERS = re.compile(r"\[\d+\]")


@dataclass(frozen=True)
class Options:
    """The options of the command line that are added to a file."""

    priority: int = DEFAULT_PRIORITY
    dataset: DatasetRef | None = None
    name: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """A checked file: its document without id, time and options. With a `search` it is a job."""

    dataset: DatasetRef  # at its version
    config: dict[str, Any]
    search: SearchConfig | None = None

    def to_document(self, id: str, options: Options, now: datetime) -> Training | Job:
        """Returns the document to write; validates nothing again."""
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
    data: Mapping[str, Any],
    options: Options,
    now: datetime,
    extra_check: ConfigCheck = lambda config, written: [],
) -> Training | Job:
    """Returns the document for `data` (a parsed file), not yet written. Raises what check_submission raises."""
    submission = check_submission(Lookups(store, lambda: now), source, data, options.dataset, extra_check)
    return submission.to_document(new_id(), options, now)


def check_submission(
    lookups: Lookups, source: str, data: Mapping[str, Any], dataset: DatasetRef | None, extra_check: ConfigCheck
) -> Submission:
    """Returns the checked `data`, on `dataset` or else its own. Raises InvalidInput with all problems, each with its
    path in the file; StoreUnavailable if data set or base cannot be looked up."""
    if is_obdb(data):
        message = "is a settings file of obdb, of which several documents are made: submit it by itself"
        raise InvalidInput(source, [Problem("", message)])
    if is_task(data):
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
    """Writes the document; returns its id. One atomic insert, so that calling it again with the same document after a
    lost answer adds nothing."""
    store.prepare()
    if isinstance(document, Job):
        store.jobs.add_job(document)
    else:
        store.queue.add_trainings([document])
    return document.id


def _fields(options: Options) -> dict[str, Any]:
    return {"priority": options.priority, "name": options.name, "tags": list(options.tags)}


def _check_training(
    lookups: Lookups, data: Mapping[str, Any], given: DatasetRef | None, extra_check: ConfigCheck
) -> tuple[Submission | None, list[Problem]]:
    config, problems = check_config(data)
    if config is None and (names := [parameter.name for parameter in parse_space(data)[0].parameters]):
        problems = [Problem(", ".join(dict.fromkeys(names)), _NO_TRAINING)]
    else:
        problems += extra_check(config, data)
    problems += _base_problems(lookups, config.base if isinstance(config, TrainingConfig) else data.get("base"))
    dataset = _pin(lookups, given or _dataset_of(data), problems, is_script(data))
    if problems or config is None or dataset is None:
        return None, problems
    whole, problems = with_code(config.model_dump(mode="json", exclude_unset=True), extra_check)
    return Submission(dataset, whole), problems


def _check_job(
    lookups: Lookups, data: Mapping[str, Any], given: DatasetRef | None, extra_check: ConfigCheck
) -> tuple[Submission | None, list[Problem]]:
    job, problems = check(JobConfig, data)
    written = data.get("config")
    config: dict[str, Any] = written if isinstance(written, dict) else {}
    space, broken = parse_space(config)
    if isinstance(written, dict):
        problems += _check_space(lookups, space, broken, extra_check)
    if job is not None:
        problems += _check_objective(job)
    if job is not None and not broken:
        problems += _check_search(lookups, job, space)
    if job is not None and not problems:
        problems += _check_refit(lookups, job, space, extra_check)
    dataset = _pin(lookups, given or _dataset_of(data) or _dataset_of(config), problems, is_script(config))
    if problems or job is None or dataset is None:
        return None, problems
    whole, wrong = with_code(job.config, extra_check)
    return Submission(dataset, whole, _resolved(job.search)), _within_config(wrong)


def _resolved(search: SearchConfig) -> SearchConfig:
    """Direction and seed are fixed at submission, so that every pass sees the same search."""
    seed = secrets.randbits(31) if search.seed is None else search.seed
    directions = list(search.directions())
    direction = directions[0] if len(directions) == 1 else directions
    return search.model_copy(update={"direction": direction, "seed": seed})


def _check_space(lookups: Lookups, space: Space, broken: list[Problem], extra_check: ConfigCheck) -> list[Problem]:
    problems = _within_config(broken)
    if not broken and space.is_constant():
        message = 'has no expression such as {"_loguniform": [1e-4, 1e-1]}: there is nothing to search'
        problems.append(Problem("config", message))
    found: dict[str, Problem] = {}
    for corner in space.corners():
        for problem in _config_problems(lookups, corner, extra_check):
            if not _is_part_of(problem, broken):
                found.setdefault(str(problem), Problem(f"config.{problem.path}", problem.message))
    return problems + list(found.values())


def _config_problems(lookups: Lookups, config: Mapping[str, Any], extra_check: ConfigCheck) -> list[Problem]:
    checked, wrong = check_config(config)
    base = checked.base if isinstance(checked, TrainingConfig) else None
    return [*wrong, *extra_check(checked, config), *_base_problems(lookups, base)]


def _is_part_of(problem: Problem, broken: list[Problem]) -> bool:
    """Whether its cause is a broken expression. Paths of the latter hold numbers of options, which are ignored."""
    path = _NUMBERS.sub("", problem.path)
    places = [_NUMBERS.sub("", one.path) for one in broken]
    return any(f"{path}.".startswith(f"{place}.") or f"{place}.".startswith(f"{path}.") for place in places)


def _check_refit(lookups: Lookups, job: JobConfig, space: Space, extra_check: ConfigCheck) -> list[Problem]:
    if job.search.refit is None:
        return []
    from mitorch_service.controller.plan.refit_config import refit_problems

    return list(refit_problems(job.search, space, lambda config: _config_problems(lookups, config, extra_check)))


def _check_search(lookups: Lookups, job: JobConfig, space: Space) -> list[Problem]:
    """Raises MissingExtra."""
    # Imported here, as the submission of a training needs neither.
    from mitorch_service.submission.check_pausing import pausing_problems
    from mitorch_service.submission.check_search import search_problems

    own = [*search_problems(job.search, space), *pausing_problems(job.search, job.config, space)]
    return own + list(filter(None, map(lookups.warm_start, job.search.warm_start)))


def _within_config(problems: list[Problem]) -> list[Problem]:
    return [Problem(f"config.{problem.path}", problem.message) for problem in problems]


def _check_objective(job: JobConfig) -> list[Problem]:
    if is_script(job.config):
        return []  # its metrics are not known
    task = job.config.get("task_type", "multiclass_classification")
    if not isinstance(task, str) or task not in METRICS:
        return []  # searched, wrong (reported elsewhere), or of a plug-in that is not installed
    known = ("val_loss", *METRICS[task])
    return [_unmeasured(objective, known) for objective in job.search.objectives() if objective not in known]


def _unmeasured(objective: str, known: Sequence[str]) -> Problem:
    near = nearest(objective, known)
    hint = f"did you mean {near!r}? " if near else ""
    return Problem("search.objective", f"{objective!r} is not measured; {hint}known: {', '.join(known)}")


def _dataset_of(data: Mapping[str, Any]) -> DatasetRef | None:
    try:
        value = data.get("dataset")
        if isinstance(value, str):
            return DatasetRef.parse(value)
        return DatasetRef.model_validate(value) if isinstance(value, dict) else None
    except ValueError:
        return None  # reported by the check of the whole file


def _pin(lookups: Lookups, ref: DatasetRef | None, problems: list[Problem], optional: bool) -> DatasetRef | None:
    """The registered data set, at its version, or at the newest if none is given; else adds to `problems`."""
    if ref is None and optional:
        return NO_DATASET
    if ref is None:
        if not any(problem.path.startswith("dataset") for problem in problems):
            message = 'is required: write "dataset": "NAME" or "NAME:VERSION" in the file, or give --dataset'
            problems.append(Problem("dataset", message))
        return None
    found = lookups.dataset(ref)
    if isinstance(found, DatasetRef):
        return found
    problems.append(found)
    return None


def _base_problems(lookups: Lookups, base: object) -> list[Problem]:
    problem = lookups.base(base) if isinstance(base, str) else None
    return [problem] if problem else []


def parse_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Returns the tags, each once. Raises InvalidInput if one is not KEY=VALUE."""
    wrong = [tag for tag in tags if not tag.partition("=")[0].strip() or "=" not in tag]
    if wrong:
        raise InvalidInput("--tag", [Problem(tag, "write KEY=VALUE, such as team=vision") for tag in wrong])
    return tuple(dict.fromkeys(tags))
