"""The objectives of a search and their directions: one as text, several as a list."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError

Direction = Literal["minimize", "maximize"]

_DIRECTIONS = ("minimize", "maximize")


def usual_direction(objective: str) -> Direction:
    """Returns ``minimize`` for losses, ``maximize`` for metrics."""
    return "minimize" if objective.endswith("loss") else "maximize"


def _objectives(value: object) -> object:
    """Converts a list of one objective to that objective."""
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError('must be val_loss or the name of a metric, or a list of such names, each "in quotes"')
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"contains {', '.join(twice)} twice; remove one")
    return names[0] if len(names) == 1 else names


def _directions(value: object) -> object:
    """Converts a list of one direction to that direction."""
    for one in value if isinstance(value, list) else [value]:
        if one not in _DIRECTIONS and not (one is None and not isinstance(value, list)):
            if not isinstance(value, list):
                raise PydanticKnownError("literal_error", {"expected": "'minimize' or 'maximize'"})
            raise ValueError(f"{one!r} is not a direction; known: {', '.join(_DIRECTIONS)}")
    return value[0] if isinstance(value, list) and len(value) == 1 else value


Objectives = Annotated[str | list[str], BeforeValidator(_objectives)]
Directions = Annotated[Direction | list[Direction] | None, BeforeValidator(_directions)]
