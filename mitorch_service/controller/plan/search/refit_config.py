"""The config of the final training of a search: the winner's, changed by `search.refit`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mitorch_service.errors import Problem
from mitorch_service.models.config.merge_patch import merge_patch
from mitorch_service.models.config.script import is_script
from mitorch_service.models.config.training_config import METRICS
from mitorch_service.models.search.job import SearchConfig
from mitorch_service.search.space.space import Space, parse_space

_FIXED = {
    "dataset": "is the job's: remove it",
    "script": "is the job's, only its parameters may differ: remove it",
}


def refit_config(config: Mapping[str, Any], search: SearchConfig) -> dict[str, Any]:
    """Returns the final training's config from the winner's `config`. Like a trial, it is trained for the objective of
    the search unless one of the two names another."""
    merged: dict[str, Any] = merge_patch(config, search.refit or {})
    known = ("val_loss", *METRICS.get(str(merged.get("task_type", "multiclass_classification")), ()))
    if not is_script(merged) and merged.get("objective") is None and search.objective in known:
        merged["objective"] = search.objective
    return merged


def refit_problems(
    search: SearchConfig, space: Space, check: Callable[[Mapping[str, Any]], list[Problem]]
) -> Iterator[Problem]:
    """Yields the problems of `search.refit`. With it, each corner of the space must still pass `check`."""
    patch = search.refit or {}
    for key in _FIXED.keys() & patch.keys():
        yield Problem(f"search.refit.{key}", _FIXED[key])
    inner, wrong = parse_space(patch)
    yield from (Problem(f"search.refit.{problem.path}", problem.message) for problem in wrong)
    for name in () if wrong else dict.fromkeys(parameter.name for parameter in inner.parameters):
        yield Problem(f"search.refit.{name}", "is an expression, but there is one final training: write one value")
    if wrong or inner.parameters or _FIXED.keys() & patch.keys():
        return
    found = dict.fromkeys(str(p) for corner in space.corners() for p in check(refit_config(corner, search)))
    yield from (Problem("search.refit", f"gives a final training with a wrong config: {text}") for text in found)
