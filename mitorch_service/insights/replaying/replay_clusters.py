"""The clusters of a replay: those of the settings, or others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from mitorch_service.backends.base import Backend
from mitorch_service.controller.plan.placing.placement import Cluster
from mitorch_service.controller.replay.work import Nodes
from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.setting_text import read_setting_file
from mitorch_service.wording.input_problem import input_problem


class _Entry(BaseModel):
    """A cluster as a file describes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1)]
    nodes: Annotated[int, Field(ge=1, le=1_000_000)]
    price: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    gpus: Annotated[int, Field(ge=0)] | None = None
    memory: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    data: list[str] = []


def given_clusters(text: str) -> list[Nodes]:
    """Parses a JSON list, or the file that it names. Raises InvalidInput."""
    inline = text.lstrip().startswith(("[", "{"))
    name = "--clusters" if inline else text
    try:
        data = json.loads(text if inline else read_setting_file(Path(text)))
    except OSError as error:
        raise InvalidInput(name, [Problem("", f"cannot be read: {error.strerror}")]) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(name, [Problem("", f"is not JSON ({error})")]) from None
    try:
        entries = TypeAdapter(Annotated[list[_Entry], Field(min_length=1)]).validate_python(data)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        where = ".".join(map(str, detail["loc"]))
        raise InvalidInput(name, [Problem(where, input_problem(detail))]) from None
    if len({entry.name for entry in entries}) < len(entries):
        raise InvalidInput(name, [Problem("name", "two clusters have the same one")])
    return [Nodes(one.name, one.nodes, one.price, one.gpus, one.memory, tuple(one.data)) for one in entries]


def present_clusters(facts: Mapping[str, Cluster], backends: Mapping[str, Backend]) -> list[Nodes]:
    """The clusters of the settings, each asked for the number of its nodes. Raises BackendError."""
    found = []
    for name, backend in backends.items():
        known, capacity = facts.get(name, Cluster(name)), backend.capacity()
        gpus = capacity.gpus if known.gpus is None else known.gpus
        found.append(Nodes(name, capacity.total, known.price, gpus, known.memory, known.data))
    return [one for one in found if one.nodes > 0]
