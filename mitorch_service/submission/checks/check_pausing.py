"""Checks that the trials of a search with pauses can be paused, compared and resumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mitorch_service.errors import Problem
from mitorch_service.models.config.script import is_script
from mitorch_service.models.config.training_length import epochs_of
from mitorch_service.models.search.job import SearchConfig
from mitorch_service.models.search.population import MAX_MEMBERS, MAX_STEPS
from mitorch_service.search.samplers.pbt import VARIABLE, may_vary, population_steps
from mitorch_service.search.space.size import size
from mitorch_service.search.space.space import Space
from mitorch_service.wording.counted import counted


def pausing_problems(search: SearchConfig, config: Mapping[str, Any], space: Space) -> Iterator[Problem]:
    """Yields the problems; none for a search without pauses."""
    if search.algorithm == "pbt":
        yield from _population_problems(search, config, space)
    elif "population" in search.model_fields_set:
        yield Problem("search.population", 'belongs to the algorithm "pbt": remove it, or choose that')
    if search.resume_promoted:
        yield from _promotion_problems(search)
    by_steps = config.get("max_steps") is not None
    if search.pauses and by_steps and not epochs_of(config):
        message = "must be a number with max_steps, the same for all trials: they are compared after the same steps"
        yield Problem("config.eval_every", message)
    elif search.pauses and not epochs_of(config):
        message = "must be a number, the same for all trials: they are compared after the same epochs"
        yield Problem("config.max_epochs", message)


def _promotion_problems(search: SearchConfig) -> Iterator[Problem]:
    if search.algorithm == "pbt":
        yield Problem("search.resume_promoted", 'makes no sense with "pbt", which resumes all members: remove it')
    elif search.early_stopping is None:
        yield Problem("search.resume_promoted", "needs early_stopping: remove false, or resume_promoted")
    elif search.early_stopping.rule != "asha":
        rule = search.early_stopping.rule
        yield Problem("search.early_stopping.rule", f'{rule!r} does not resume the trials that it stopped: use "asha"')


def _population_problems(search: SearchConfig, config: Mapping[str, Any], space: Space) -> Iterator[Problem]:
    if search.early_stopping is not None:
        yield Problem("search.early_stopping", 'makes no sense with "pbt", which replaces bad members: remove it')
    if is_script(config):
        yield Problem("config.script", '"pbt" needs checkpoints of the built-in training: use "resume_promoted"')
        return
    if not 2 <= search.max_trials <= MAX_MEMBERS:
        message = f'with "pbt" is the size of the population: from 2 to {MAX_MEMBERS} (it is {search.max_trials})'
        yield Problem("search.max_trials", message)
    elif size(space) < search.max_trials:
        message = f"the space has {counted(int(size(space)), 'point')}, too few for {search.max_trials} members"
        yield Problem("search.max_trials", message)
    yield from _step_problems(search, config)
    for name in dict.fromkeys(parameter.name for parameter in space.parameters if not may_vary(parameter.name)):
        message = f'may not differ between members of "pbt", which resume from one another: {", ".join(VARIABLE)} may'
        yield Problem(f"config.{name}", message)


def _step_problems(search: SearchConfig, config: Mapping[str, Any]) -> Iterator[Problem]:
    max_epochs, step = epochs_of(config), search.population.step
    if not max_epochs:
        return
    steps = len(population_steps(max_epochs, step))
    if not 1 <= steps <= MAX_STEPS:
        message = f"{max_epochs} epochs make {steps} comparisons of the members; there must be 1 to {MAX_STEPS}"
        yield Problem("search.population.step", message)
