"""Checks that a search for several objectives uses an algorithm and options that support them."""

from __future__ import annotations

from collections.abc import Iterator

from mitorch_service.errors import Problem
from mitorch_service.models.search.job import SearchConfig

MOST_OBJECTIVES = 5
_SINGLE_OBJECTIVE = ("gp", "cmaes", "pbt")
_SEVERAL_OBJECTIVES = "auto, tpe, nsga2, random, qmc, grid"


def objective_problems(search: SearchConfig) -> Iterator[Problem]:
    """Yields the problems; none for a search for one objective."""
    count = len(search.objectives())
    if count == 1:
        return
    if count > MOST_OBJECTIVES:
        message = f"has {count} objectives; with more than {MOST_OBJECTIVES} hardly any trial is better than another"
        yield Problem("search.objective", message)
    if search.algorithm in _SINGLE_OBJECTIVE:
        message = f'"{search.algorithm}" searches for one objective, not for {count}; use one of: {_SEVERAL_OBJECTIVES}'
        yield Problem("search.algorithm", message)
    if search.early_stopping is not None:
        message = f"compares trials by one objective, not by {count}: leave it out, or search for one objective"
        yield Problem("search.early_stopping", message)
    if search.refit is not None:
        message = f"trains one winner once more, and {count} objectives have a front of them: leave it out"
        yield Problem("search.refit", message)
