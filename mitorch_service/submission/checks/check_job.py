"""Checks a search job: its space, objectives, algorithm and final training."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from mitorch_service.errors import Problem
from mitorch_service.models.config.script import check_config, is_script
from mitorch_service.models.config.training_config import METRICS, TrainingConfig
from mitorch_service.models.search.job import JobConfig
from mitorch_service.search.space.space import Space
from mitorch_service.submission.lookups import Lookups
from mitorch_service.submission.script_code import ConfigCheck
from mitorch_service.wording.suggestion import did_you_mean

_NUMBERS = re.compile(r"\[\d+\]")


def space_problems(lookups: Lookups, space: Space, broken: list[Problem], extra_check: ConfigCheck) -> list[Problem]:
    """Checks the configs at the corners of a space; `broken`: the problems that parsing it found."""
    problems = within_config(broken)
    if not broken and space.is_constant():
        message = 'has no expression such as {"_loguniform": [1e-4, 1e-1]}: there is nothing to search'
        problems.append(Problem("config", message))
    found: dict[str, Problem] = {}
    for corner in space.corners():
        for problem in _config_problems(lookups, corner, extra_check):
            if not _follows_from(problem, broken):
                found.setdefault(str(problem), Problem(f"config.{problem.path}", problem.message))
    return problems + list(found.values())


def metric_problems(job: JobConfig) -> list[Problem]:
    """Finds objectives that the task does not measure."""
    if is_script(job.config):
        return []  # its metrics are not known
    task = job.config.get("task_type", "multiclass_classification")
    if not isinstance(task, str) or task not in METRICS:
        return []  # searched, wrong (reported elsewhere), or of a plug-in that is not installed here
    known = ("val_loss", *METRICS[task])
    return [_unmeasured(objective, known) for objective in job.search.objectives() if objective not in known]


def algorithm_problems(lookups: Lookups, job: JobConfig, space: Space) -> list[Problem]:
    """Checks the algorithm and the warm start against the space. Raises MissingExtra."""
    # imported here, as the submission of a training needs neither
    from mitorch_service.submission.checks.check_pausing import pausing_problems
    from mitorch_service.submission.checks.check_search import search_problems
    from mitorch_service.submission.checks.check_stopping import stopping_problems

    own = [
        *search_problems(job.search, space),
        *pausing_problems(job.search, job.config, space),
        *stopping_problems(job.search, space),
    ]
    return own + list(filter(None, map(lookups.warm_start, job.search.warm_start)))


def final_training_problems(lookups: Lookups, job: JobConfig, space: Space, extra_check: ConfigCheck) -> list[Problem]:
    """Checks the configs that `search.refit` makes of the corners of the space."""
    if job.search.refit is None:
        return []
    from mitorch_service.controller.plan.search.refit_config import refit_problems

    return list(refit_problems(job.search, space, lambda config: _config_problems(lookups, config, extra_check)))


def within_config(problems: list[Problem]) -> list[Problem]:
    """The same problems, with their paths in the whole file."""
    return [Problem(f"config.{problem.path}", problem.message) for problem in problems]


def _config_problems(lookups: Lookups, config: Mapping[str, JsonValue], extra_check: ConfigCheck) -> list[Problem]:
    checked, problems = check_config(config)
    base = checked.base if isinstance(checked, TrainingConfig) else None
    return [*problems, *extra_check(checked, config), *lookups.base_problems(base)]


def _follows_from(problem: Problem, broken: list[Problem]) -> bool:
    """Whether a problem arises only because an expression is broken. Paths are compared without the numbers of a
    choice's options, which only one of them has."""
    path = _NUMBERS.sub("", problem.path)
    places = [_NUMBERS.sub("", one.path) for one in broken]
    return any(f"{path}.".startswith(f"{place}.") or f"{place}.".startswith(f"{path}.") for place in places)


def _unmeasured(objective: str, known: Sequence[str]) -> Problem:
    hint = did_you_mean(objective, known)
    return Problem("search.objective", f"{objective!r} is not measured; {hint}known: {', '.join(known)}")
