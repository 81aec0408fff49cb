"""Summarizes a space before a search: its size, and expressions that change nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from mitorch_service.errors import Problem
from mitorch_service.search.space.expressions import Choice
from mitorch_service.search.space.size import size
from mitorch_service.search.space.space import Parameter, Space
from mitorch_service.wording.counted import counted


def extent(space: Space) -> str:
    """Returns the number of points, or of parameters if the space is infinite, in words."""
    points, ranges = size(space), [p for p in space.parameters if p.span == math.inf]
    if points < math.inf:
        return counted(int(points), "point")
    return f"infinitely many points: {counted(len(space.parameters), 'parameter')}, {len(ranges)} of them continuous"


def idle_expressions(space: Space) -> list[Problem]:
    """Returns expressions that change nothing: those with one value, and options that equal an earlier one."""
    return [Problem(parameter.name, message) for parameter in space.parameters for message in _idle(parameter)]


def inactive(space: Space, parameters: Mapping[str, object]) -> list[str]:
    """Returns the parameters of the space that a trial does not have, by name."""
    return list(dict.fromkeys(p.name for p in space.parameters if p.name not in parameters))


def _idle(parameter: Parameter) -> list[str]:
    if parameter.span == 1:
        return ["has one value only: write the value itself"]
    if not isinstance(parameter.expression, Choice):
        return []
    texts = [repr(option) if not _is_plain(option) else json.dumps(option) for option in parameter.expression.options]
    first: dict[str, int] = {}
    found = [(index, first.setdefault(text, index)) for index, text in enumerate(texts)]
    return [f"option {index} is the same as option {same}: it is tried twice" for index, same in found if same < index]


def _is_plain(option: object) -> bool:
    return option is None or isinstance(option, str | int | float)
