"""Parses configs written in YAML 1.2 into the values that the same config has in JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date

from pydantic import JsonValue

from mitorch_service.errors import InvalidInput, Problem

YAML_SUFFIXES = (".yaml", ".yml")
_MAX_VALUES = 200_000  # a few lines of anchors can stand for billions
_MAX_DEPTH = 100  # an anchor may contain itself


def parse_yaml(source: str, text: str) -> JsonValue:
    """Parses one YAML document. Raises InvalidInput, for syntax errors with line and column, and for what JSON cannot
    express: dates, NaN, keys that are no text, more than 200,000 values behind anchors."""
    value = load_yaml(source, text)
    problem = next(_problems(value), None)
    if problem is not None:
        raise InvalidInput(source, [problem])
    return value  # type: ignore[return-value]


def load_yaml(source: str, text: str) -> object:
    """Returns the value of one YAML document, whatever it holds. Raises InvalidInput, for syntax errors with line and
    column, and for more than 200,000 values behind merged keys."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        check_merges(text)
        value: object = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        said = ", ".join(filter(None, (error.problem, error.context)))
        raise InvalidInput(source, [Problem(where, f"{said} (in YAML)")]) from error
    except (YAMLError, ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(source, [Problem("", f"is not YAML ({str(error).splitlines()[0]})")]) from error
    return value


def check_merges(text: str) -> None:
    """Raises ValueError if merged keys (``<<``) stand for more than 200,000 values: their mappings are copied while a
    document is loaded, those of other anchors are not. Raises YAMLError."""
    from ruamel.yaml import YAML
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent

    if "<<" not in text:
        return
    sizes: dict[str, int] = {}  # values behind each anchor
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]  # the anchor, and the values so far
    for event in YAML(typ="safe", pure=True).parse(text):
        if isinstance(event, CollectionStartEvent):
            open_nodes.append((event.anchor, 1))
            continue
        if not isinstance(event, CollectionEndEvent | NodeEvent):
            continue
        anchor, size = open_nodes.pop() if isinstance(event, CollectionEndEvent) else (event.anchor, 1)
        if isinstance(event, AliasEvent):
            size = sizes.get(event.anchor, 1)
        elif anchor is not None:
            sizes[anchor] = size
        outer, before = open_nodes.pop()
        open_nodes.append((outer, before + size))
        if before + size > _MAX_VALUES:
            raise ValueError(f"merged keys stand for more than {_MAX_VALUES} values: use no anchors")


def _problems(value: object) -> Iterator[Problem]:
    """Yields what JSON cannot express, each with its path."""
    left = [("", value)]
    count = 0
    while left:
        path, item = left.pop()
        count += 1
        if count > _MAX_VALUES or path.count(".") > _MAX_DEPTH:
            yield Problem(
                path[:80], f"stands for more than {_MAX_VALUES} values or {_MAX_DEPTH} levels: use no anchors"
            )
            return
        if isinstance(item, dict):
            yield from (_wrong_key(path, key) for key in item if not isinstance(key, str))
            left.extend((f"{path}.{key}".lstrip("."), inner) for key, inner in item.items())
        elif isinstance(item, list):
            left.extend((f"{path}.{index}".lstrip("."), inner) for index, inner in enumerate(item))
        elif isinstance(item, float) and not math.isfinite(item):
            yield Problem(path, f"{item} is not a number; write a finite one")
        elif isinstance(item, date):
            yield Problem(path, f"{item} is a date; write it as text, in quotes")
        elif not isinstance(item, str | int | float | None):
            yield Problem(path, f"is of the kind {type(item).__name__}, which JSON does not have")


def _wrong_key(path: str, key: object) -> Problem:
    return Problem(path, f"the key {key!r} is no text; write it in quotes")
