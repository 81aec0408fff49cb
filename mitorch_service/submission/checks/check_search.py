"""Checks that a job's algorithm, enqueued parameters and warm start fit its space."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mitorch_service.errors import AmbiguousId, NotFound, Problem
from mitorch_service.models.search.job import SearchConfig
from mitorch_service.search.samplers.registry import check_installed
from mitorch_service.search.space.misfits import misfits
from mitorch_service.search.space.size import size
from mitorch_service.search.space.space import Space
from mitorch_service.stores.base import Store
from mitorch_service.submission.checks.check_objectives import objective_problems


def search_problems(search: SearchConfig, space: Space) -> list[Problem]:
    """Returns the problems of a search in a valid space. Raises MissingExtra if the algorithm's packages are
    missing."""
    check_installed(search.algorithm)
    return [*objective_problems(search), *_grid_problems(search, space), *_enqueue_problems(search, space)]


def warm_start_problem(store: Store, id: str) -> Problem | None:
    """Returns the problem of the id of a job or training from which a search starts, if any."""
    try:
        kind, whole = store.trainings.resolve_id(id)
        if kind == "job" or store.trainings.get_training(whole).trial is not None:
            return None
        message = f"the training {id} is no trial of a job: it has no parameters to learn from"
    except (NotFound, AmbiguousId) as error:
        message = str(error)
    return Problem("search.warm_start", message)


def _grid_problems(search: SearchConfig, space: Space) -> Iterator[Problem]:
    if search.algorithm != "grid" or size(space) < math.inf:
        return
    endless = ", ".join(parameter.name for parameter in space.parameters if parameter.span == math.inf)
    message = f'"grid" needs values that can be counted: give {endless} a "step", or a _choice of values'
    yield Problem("search.algorithm", message)


def _enqueue_problems(search: SearchConfig, space: Space) -> Iterator[Problem]:
    known = {parameter.name for parameter in space.parameters}
    for index, parameters in enumerate(search.enqueue):
        path = f"search.enqueue[{index}]"
        unknown = sorted(set(parameters) - known)
        if unknown:
            yield Problem(path, f"there is no parameter {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        elif wrong := misfits(space, parameters):
            yield Problem(path, f"{parameters} has a value that is not of the space: {'; '.join(wrong)}")
