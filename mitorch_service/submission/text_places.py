"""Finds the lines of a config's text that problems are about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from mitorch_service.errors import Problem

_LONGEST = 50_000  # characters of a text whose lines are looked for: half a second
_PLACE = re.compile(r"line (\d+), column (\d+)")
_STEP = re.compile(r"[^.\[\]]+|\[\d+\]")


class Placed(NamedTuple):
    """A problem, and where in the text it is: counted from 1; None: not known."""

    problem: Problem
    line: int | None = None
    column: int | None = None


def place(text: str, problems: Iterable[Problem]) -> list[Placed]:
    """Returns the problems with their places: of syntax errors the one they name, of others that of the key, or of the
    nearest one around it."""
    root = None
    placed = []
    for problem in problems:
        named = _PLACE.match(problem.path)
        if named:
            placed.append(Placed(problem, int(named[1]), int(named[2])))
            continue
        root = _compose(text) if root is None else root
        placed.append(Placed(problem, *_find(root, list(_steps(problem.path)))))
    return placed


def _compose(text: str) -> Any:
    """The nodes of the text, JSON being YAML; False if it cannot be read so."""
    if len(text) > _LONGEST:
        return False
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).compose(text.replace("\t", " ")) or False
    except (YAMLError, ValueError, RecursionError):
        return False


def _steps(path: str) -> Iterator[str | int]:
    for found in _STEP.finditer(path.partition(", ")[0]):
        step = found[0]
        yield int(step[1:-1]) if step.startswith("[") else step


def _find(root: Any, steps: list[str | int]) -> tuple[int | None, int | None]:
    """The place of the node that the steps lead to, as far as they lead."""
    node, mark = root, None
    while steps and node:
        found = _child(node, steps)
        if found is None:
            break
        mark, node, used = found
        steps = steps[used:]
    return (mark.line + 1, mark.column + 1) if mark is not None else (None, None)


def _child(node: Any, steps: list[str | int]) -> tuple[Any, Any, int] | None:
    """The mark and the value of the next step, and how many steps its key took: a key may have a dot in it."""
    if isinstance(steps[0], int):
        items = node.value if isinstance(node.value, list) else []
        item = items[steps[0]] if steps[0] < len(items) and not isinstance(items[steps[0]], tuple) else None
        return None if item is None else (item.start_mark, item, 1)
    if not isinstance(node.value, list):
        return None
    pairs = {pair[0].value: pair for pair in node.value if isinstance(pair, tuple)}
    for used in range(len(steps), 0, -1):
        key = ".".join(map(str, steps[:used]))
        if key in pairs:
            return pairs[key][0].start_mark, pairs[key][1], used
    return None
