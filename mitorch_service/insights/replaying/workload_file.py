"""Reads the workload of a replay: a file of JSON lines, or one in the Standard Workload Format."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mitorch_service.controller.replay.work import Work
from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.insights.replaying.swf import read_swf
from mitorch_service.wording.input_problem import input_problem

MOST = 1_000_000  # trainings
_LONGEST = 100_000  # characters of a line
_Seconds = Annotated[float, Field(ge=0, le=1e10, allow_inf_nan=False)]


class _Line(BaseModel):
    """A line of the file: one training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    submitted: _Seconds  # since any moment
    seconds: _Seconds
    nodes: Annotated[int, Field(ge=1, le=100_000)] = 1
    user: str = ""
    team: str = ""
    priority: int = 100
    dataset: str = "data"
    epochs: Annotated[int, Field(ge=0)] = 0
    gpus: Annotated[int, Field(ge=0)] | None = None
    memory: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    clusters: Annotated[list[str], Field(min_length=1)] | None = None


def read_workload(path: Path) -> list[Work]:
    """Returns the trainings of a file; one whose name ends in .swf is of the Standard Workload Format. Raises
    InvalidInput, naming the line and the field."""
    try:
        with path.open(encoding="utf-8") as file:
            lines = iter(lambda: file.readline(_LONGEST), "")  # a device never ends a line
            work = list(read_swf(str(path), lines) if path.suffix == ".swf" else _read_lines(str(path), lines))
    except OSError as error:
        raise InvalidInput(str(path), [Problem("", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(str(path), [Problem("", f"is not UTF-8 text ({error})")]) from error
    if not work:
        raise InvalidInput(str(path), [Problem("", "has no trainings: write a JSON object a line (docs/placement.md)")])
    return work


def _read_lines(name: str, lines: Iterable[str]) -> Iterator[Work]:
    for number, line in enumerate(lines, 1):
        if number > MOST:
            raise InvalidInput(name, [Problem(f"line {number}", f"is one too many: {MOST:,} are replayed at most")])
        if line.strip():
            yield _work(name, number, _parsed(name, number, line))


def _parsed(name: str, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(name, [Problem(f"line {number}", f"is not JSON ({error})")]) from None


def _work(name: str, number: int, data: object) -> Work:
    try:
        line = _Line.model_validate(data)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        field = ".".join(map(str, detail["loc"]))
        value = "" if isinstance(detail["input"], dict | list) else f" (it is {detail['input']!r})"
        where = f"line {number}" + (f", {field}" if field else "")
        raise InvalidInput(name, [Problem(where, input_problem(detail) + value)]) from None
    fields = line.model_dump()
    return Work(**{**fields, "clusters": None if line.clusters is None else tuple(line.clusters)})
