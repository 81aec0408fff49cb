"""Spaces and histories that the tests of the search share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mitorch_service.search.base import History, Sampler, Study, TrialRecord, TrialState, suggest
from mitorch_service.search.space.space import Point, Space, parse_space

NUMBERS = {"x": {"_uniform": [0, 1]}, "y": {"_loguniform": [1e-3, 1]}}
CONDITIONAL = {
    "lr": {"_loguniform": [1e-4, 1]},
    "optimizer": {
        "_choice": [
            {"name": "sgd", "momentum": {"_uniform": [0, 0.9]}, "decay": {"_uniform": [0, 1]}},
            {"name": "adam", "decay": {"_uniform": [0, 0.1], "step": 0.02}},
        ]
    },
    "layers": {"_int": [1, 9], "step": 2},
    "width": {"_logint": [8, 512]},
    "batch": {"_choice": [32, 16, 64]},
}
FINITE = {"a": {"_choice": ["p", {"name": "q", "n": {"_int": [1, 3]}}]}, "b": {"_choice": [1, 2, 4]}}  # 12 points


def space_of(config: dict[str, Any]) -> Space:
    """The space of a config that is right."""
    space, problems = parse_space(config)
    assert problems == []
    return space


def study_of(config: dict[str, Any], seed: int = 0, **fields: Any) -> Study:
    """A study of 50 trials."""
    return Study(space_of(config), seed, fields.pop("max_trials", 50), **fields)


def completed(number: int, point: Point, *values: float) -> TrialRecord:
    """A trial that ended well."""
    return TrialRecord(number, point, TrialState.COMPLETED, values)


def searched(sampler: Sampler, value: Callable[[dict[str, Any]], tuple[float, ...]], trials: int) -> list[TrialRecord]:
    """Trials one after the other, each told before the next one is asked for."""
    records: list[TrialRecord] = []
    for number in range(trials):
        point = suggest(sampler, History(sampler.study, records), number)
        if point is None:
            break
        records.append(completed(number, point, *value(sampler.study.space.at(point)[0])))
    return records
