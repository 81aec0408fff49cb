"""From a user's file to documents in the queue: everything is checked before anything is written."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from mitorch_service.errors import BrokenDocument, InvalidInput, NotFound, Problem
from mitorch_service.models.base import new_id
from mitorch_service.models.config import METRICS, TrainingConfig
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.file_kinds import is_obdb, is_task
from mitorch_service.models.job import Job, JobConfig, SearchConfig
from mitorch_service.models.new_training import new_training
from mitorch_service.models.script import NO_DATASET, AnyConfig, check_config, is_script
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.models.training import DEFAULT_PRIORITY, Training, next_arrival
from mitorch_service.models.validation import check, nearest
from mitorch_service.search.space.space import parse_space
from mitorch_service.stores.base import Store
from mitorch_service.submission.sas_expiry import expiry_problem
from mitorch_service.submission.script_code import with_code

# What the engine knows of a config that the models do not: of the checked one (None where its form is wrong), and of
# what was written. A CodeKeeper keeps code as well.
ConfigCheck = Callable[[AnyConfig | None, Mapping[str, Any]], list[Problem]]

_NO_TRAINING = (
    "holds expressions, which belong to a search: write "
    '{"job_type": "search", "config": {this file}, "search": {"max_trials": 20}}'
)
_NUMBERS = re.compile(r"\[\d+\]")
_CACHED = 10_000  # data sets, and trainings named as a base


@dataclass(frozen=True)
class Options:
    """What the command line adds to a file."""

    priority: int = DEFAULT_PRIORITY
    dataset: DatasetRef | None = None
    name: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """A checked file: all that its document needs but id, time and options. With a `search` it is a job."""

    dataset: DatasetRef  # at its version
    config: dict[str, Any]
    search: SearchConfig | None = None

    def to_document(self, id: str, options: Options, now: datetime) -> Training | Job:
        """The document to write; nothing is validated again."""
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


class Lookups:
    """What the checks ask the database; the same thing is asked once, as a file of a million lines repeats itself."""

    def __init__(self, store: Store, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.dataset = lru_cache(_CACHED)(lambda ref: _find_dataset(store, ref, clock()))
        self.base = lru_cache(_CACHED)(lambda id: _check_base(store, id))
        self.warm_start = lru_cache(_CACHED)(lambda id: _check_warm_start(store, id))


def build_submission(
    store: Store,
    source: str,
    data: Mapping[str, Any],
    options: Options,
    now: datetime,
    extra_check: ConfigCheck = lambda config, written: [],
) -> Training | Job:
    """The document that `data` (a parsed file) asks for, not yet written. Raises what check_submission raises."""
    submission = check_submission(Lookups(store, lambda: now), source, data, options.dataset, extra_check)
    return submission.to_document(new_id(), options, now)


def check_submission(
    lookups: Lookups, source: str, data: Mapping[str, Any], dataset: DatasetRef | None, extra_check: ConfigCheck
) -> Submission:
    """What `data` asks for, on `dataset` or else its own. Raises InvalidInput with every problem, named by its path in
    the file; StoreUnavailable when data set or base cannot be looked up."""
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
    """Writes the document; returns its id. One atomic insert: it is there wholly or not at all, and calling again
    with the same document after a lost answer adds nothing."""
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
    inner = data.get("config")
    space: dict[str, Any] = inner if isinstance(inner, dict) else {}
    problems += _check_space(lookups, space, extra_check) if isinstance(inner, dict) else []
    problems += _check_objective(job) if job is not None else []
    problems += _check_search(lookups, job) if job is not None else []
    problems += _check_refit(lookups, job, extra_check) if job is not None and not problems else []
    dataset = _pin(lookups, given or _dataset_of(data) or _dataset_of(space), problems, is_script(space))
    if problems or job is None or dataset is None:
        return None, problems
    whole, wrong = with_code(job.config, extra_check)
    return Submission(dataset, whole, _resolved(job.search)), _within_config(wrong)


def _resolved(search: SearchConfig) -> SearchConfig:
    """Direction and seed are settled at submission, so that every pass sees the same search."""
    seed = secrets.randbits(31) if search.seed is None else search.seed
    directions = list(search.directions())
    direction = directions[0] if len(directions) == 1 else directions
    return search.model_copy(update={"direction": direction, "seed": seed})


def _check_space(lookups: Lookups, config: Mapping[str, Any], extra_check: ConfigCheck) -> list[Problem]:
    space, broken = parse_space(config)
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
    """Whether it is only that no value could be made of an expression. Options of choices are told by their number in
    the one, not in the other."""
    path = _NUMBERS.sub("", problem.path)
    places = [_NUMBERS.sub("", one.path) for one in broken]
    return any(f"{path}.".startswith(f"{place}.") or f"{place}.".startswith(f"{path}.") for place in places)


def _check_refit(lookups: Lookups, job: JobConfig, extra_check: ConfigCheck) -> list[Problem]:
    if job.search.refit is None:
        return []
    from mitorch_service.controller.plan.refit_config import refit_problems

    space, _ = parse_space(job.config)
    return list(refit_problems(job.search, space, lambda config: _config_problems(lookups, config, extra_check)))


def _check_search(lookups: Lookups, job: JobConfig) -> list[Problem]:
    """Raises MissingExtra."""
    from mitorch_service.submission.check_pausing import (
        pausing_problems,
    )  # which a training's submission does not wait for
    from mitorch_service.submission.check_search import search_problems

    space, problems = parse_space(job.config)
    if problems:
        return []  # told by the check of the space
    own = [*search_problems(job.search, space), *pausing_problems(job.search, job.config, space)]
    return own + list(filter(None, map(lookups.warm_start, job.search.warm_start)))


def _check_warm_start(store: Store, id: str) -> Problem | None:
    from mitorch_service.submission.check_search import warm_start_problem

    return warm_start_problem(store, id)


def _within_config(problems: list[Problem]) -> list[Problem]:
    return [Problem(f"config.{problem.path}", problem.message) for problem in problems]


def _check_objective(job: JobConfig) -> list[Problem]:
    if is_script(job.config):
        return []  # what it reports is not known
    task = job.config.get("task_type", "multiclass_classification")
    if not isinstance(task, str) or task not in METRICS:
        return []  # drawn, wrong (told elsewhere), or of a plug-in that is not installed here
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
        return None  # told by the check of the whole file


def _pin(lookups: Lookups, ref: DatasetRef | None, problems: list[Problem], optional: bool) -> DatasetRef | None:
    """The data set at a version that is registered; the newest where none is named."""
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


def _find_dataset(store: Store, ref: DatasetRef, now: datetime) -> DatasetRef | Problem:
    try:
        dataset = store.datasets.get_dataset(ref)
        return expiry_problem(dataset, now) or dataset.ref
    except (NotFound, BrokenDocument):
        registered = [str(dataset.ref) for dataset in store.datasets.list_datasets().items]
        near = nearest(str(ref), registered) or nearest(ref.name, [name.rpartition(":")[0] for name in registered])
        hint = f"did you mean {near!r}? " if near else ""
        known = f"registered: {', '.join(registered)}" if registered else "none is: see midataset register"
        return Problem("dataset", f"{str(ref)!r} is not registered; {hint}{known}")


def _base_problems(lookups: Lookups, base: object) -> list[Problem]:
    problem = lookups.base(base) if isinstance(base, str) else None
    return [problem] if problem else []


def _check_base(store: Store, base: str) -> Problem | None:
    try:
        training = store.trainings.get_training(base)
    except NotFound:
        return Problem("base", f"there is no training {base!r}; give the whole id of a completed one")
    except BrokenDocument as error:
        return Problem("base", str(error))
    if training.status != TrainingStatus.COMPLETED:
        return Problem("base", f"the training {base} is {training.status}; only a completed one has weights")
    return None


def parse_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Checks that each is KEY=VALUE. Raises InvalidInput."""
    wrong = [tag for tag in tags if not tag.partition("=")[0].strip() or "=" not in tag]
    if wrong:
        raise InvalidInput("--tag", [Problem(tag, "write KEY=VALUE, such as team=vision") for tag in wrong])
    return tuple(dict.fromkeys(tags))
