"""Any value anywhere in a file gives problems in our own words, and no other error."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from mitorch_service.models.config.script import ScriptConfig
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.config.validation import check, first_model
from mitorch_service.models.dataset import DatasetDefinition
from mitorch_service.models.search.job import JobConfig
from tests.samples import CONFIG, SPACE

VALUES: list[Any] = [5, -1, 1.5, "x", "", [], [5], ["x"], [[1]], {}, {"a": 1}, None, True, float("nan"), 10**30]
WHOLE: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (TrainingConfig, CONFIG),
    (JobConfig, {"job_type": "search", "config": SPACE, "search": {"max_trials": 4}}),
    (ScriptConfig, {"script": {"command": "x"}}),
    (DatasetDefinition, {"name": "x", "version": 1, "train": {"path": "a"}, "val": {"path": "b"}}),
]
_OF_PYDANTIC = re.compile(
    r"Input |should |valid (dict|list|str|int|num|bool)|instance|Value error|union|function-|constrained|literal\["
    r"|(list|dict|tuple)\[|NoneType|Config\b|Section\b"
)


def paths(model: type[BaseModel], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The places of all fields, those within sections too."""
    for name, field in model.model_fields.items():
        yield (*before, name)
        section = first_model(field.annotation)
        if isinstance(section, type) and issubclass(section, BaseModel) and len(before) < 2:
            yield from paths(section, (*before, name))


@pytest.mark.parametrize(("model", "good"), WHOLE, ids=lambda one: getattr(one, "__name__", ""))
def test_any_value_anywhere(model: type[BaseModel], good: dict[str, Any]) -> None:
    for path in paths(model):
        for value in VALUES:
            data = copy.deepcopy(good)
            at = data
            for step in path[:-1]:
                at[step] = at[step] if isinstance(at.get(step), dict) else {}
                at = at[step]
            at[path[-1]] = value
            for problem in check(model, data)[1]:
                said = str(problem).partition("(it is ")[0]
                assert not _OF_PYDANTIC.search(said), (path, value, said)
