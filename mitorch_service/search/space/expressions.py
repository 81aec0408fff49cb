"""Search-space expressions, which replace values of a config.

Expressions are objects with one key that begins with ``_``, and sometimes ``step``::

    {"_choice": [a, b, {"name": "sgd", "momentum": {"_uniform": [0, 0.9]}}]}   options may hold expressions
    {"_uniform": [low, high], "step": s}   {"_loguniform": [low, high]}
    {"_int": [low, high], "step": s}       {"_logint": [low, high]}            low and high included
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TypeAlias, TypeGuard

from mitorch_service.errors import Problem

RANGES = ("_uniform", "_loguniform", "_int", "_logint")
KNOWN = ("_choice", *RANGES)

Scalar: TypeAlias = bool | int | float | str | None
# A parsed config, or a part of it.
Node: TypeAlias = "Scalar | Choice | Range | list[Node] | dict[str, Node]"


@dataclass(frozen=True)
class Choice:
    """One of several options; the parameters inside an option exist only while it is chosen.

    An option is identified by its index. Its label is for people; no two look the same.
    """

    options: tuple[Node, ...]

    @cached_property
    def labels(self) -> tuple[Scalar, ...]:
        """The options as a parameter's values: a plain value itself, a sub-config's name if that is unique, else its
        place; a plain value that repeats an earlier one also has its place."""
        names = Counter(map(_name, self.options))
        names.update(shown(option) for option in self.options if _is_plain(option))
        taken: set[str] = set()
        found: dict[int, Scalar] = {}
        for index in sorted(range(len(self.options)), key=lambda index: not _is_plain(self.options[index])):
            option, name = self.options[index], _name(self.options[index])
            label = option if _is_plain(option) else name if name and names[name] == 1 else f"option {index}"
            while shown(label) in taken:
                label = f"{shown(label)} (option {index})"
            taken.add(shown(label))
            found[index] = label
        return tuple(found[index] for index in range(len(self.options)))

    @cached_property
    def ends(self) -> list[float]:
        """The number of points up to each option, its own included; infinite from the first continuous one on."""
        return list(accumulate(map(points, self.options)))

    def label(self, index: int) -> Scalar:
        """Returns the label of an option."""
        return self.labels[index]

    def order(self) -> list[int]:
        """Returns the options' indices by rising value if all are numbers, two or more; else an empty list."""
        return self._order

    def raw(self, value: object) -> int:
        """Returns the index of the option with the label `value`. Raises ValueError if there is none."""
        known = isinstance(value, bool | int | float | str | None)
        index = self._indices.get((type(value), value)) if known else None
        if index is None and isinstance(value, int | float) and not isinstance(value, bool):
            index = self._indices.get((float, value), self._indices.get((int, value)))
        if index is None:
            raise ValueError(f"{value!r} is none of {list(self.labels)}")
        return index

    @cached_property
    def _indices(self) -> dict[tuple[type, object], int]:
        return {(type(label), label): index for index, label in enumerate(self.labels)}  # True equals 1

    @cached_property
    def _order(self) -> list[int]:
        numbers = [o for o in self.options if isinstance(o, int | float) and not isinstance(o, bool)]
        if len(numbers) < 2 or len(numbers) < len(self.options):
            return []
        return sorted(range(len(numbers)), key=lambda index: numbers[index])


@dataclass(frozen=True)
class Range:
    """A number between low and high, both included."""

    low: float
    high: float
    log: bool = False
    integer: bool = False
    step: float | None = None

    def raw(self, value: object) -> float | int:
        """Returns the number itself. Raises ValueError if it is not within the range."""
        if not _is_number(value) or not self.low <= value <= self.high:
            raise ValueError(f"{value!r} is not between {self.low} and {self.high}")
        return value

    def count(self) -> float:
        """Returns how many numbers it allows; infinity for a continuous range."""
        if self.step is not None:
            return math.floor((self.high - self.low) / self.step + 1e-9) + 1
        return self.high - self.low + 1 if self.integer else math.inf

    def nth(self, index: int) -> float | int:
        """Returns one of the numbers of a countable range, in rising order from index 0."""
        return self.snap(self.low + index * (self.step or 1))

    def to_unit(self, value: float) -> float:
        """Maps a number to [0, 1], such that random search is uniform there."""
        if self.step is not None and not self.log:
            return min(max(((value - self.low) / self.step + 0.5) / self.count(), 0.0), 1.0)
        low, high = self._ends()
        scaled = _log_ratio(value, low) / _log_ratio(high, low) if self.log else (value - low) / (high - low)
        return min(max(scaled, 0.0), 1.0)

    def from_unit(self, unit: float) -> float | int:
        """Maps [0, 1] to a number that the range allows; the inverse of `to_unit`."""
        if self.step is not None and not self.log:
            return self.nth(min(int(unit * self.count()), int(self.count()) - 1))
        low, high = self._ends()
        if self.log and math.isinf(high / low):
            return self.snap(math.exp(math.log(low) + _log_ratio(high, low) * unit))
        return self.snap(low * (high / low) ** unit if self.log else low + (high - low) * unit)

    def _ends(self) -> tuple[float, float]:
        """Integers have half a step more at both ends, so that the ends are as frequent as the others."""
        room = 0.5 if self.integer else 0.0
        return self.low - room, self.high + room

    def snap(self, value: float) -> float | int:
        """Returns the nearest number that the range allows."""
        if self.step is not None:
            value = self.low + round((value - self.low) / self.step) * self.step
            if value > self.high + 1e-9 * self.step:
                value -= self.step
        if self.integer:
            return round(min(max(value, self.low), self.high))
        short = float(f"{value:.12g}")  # 0.3, not 0.30000000000000004
        return min(max(short, float(self.low)), float(self.high))


def points(node: Node) -> float:
    """Returns the number of points of a part, an integer or infinity. Conditional parameters count where they are
    active."""
    if isinstance(node, Choice):
        return node.ends[-1]
    if isinstance(node, Range):
        return int(node.count()) if node.count() < math.inf else math.inf
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return math.prod(map(points, parts))


def shown(label: Scalar) -> str:
    """Returns a label as people see it: 1 and "1" look the same."""
    return label if isinstance(label, str) else json.dumps(label)


def parse_expressions(value: object, path: str, problems: list[Problem]) -> Node:
    """Returns the value with a Choice or Range in place of each expression; adds what is wrong to `problems`."""
    if isinstance(value, list):
        return [parse_expressions(item, f"{path}[{i}]", problems) for i, item in enumerate(value)]
    if not isinstance(value, dict):
        return value  # type: ignore[return-value]  # configs are JSON
    marks = [key for key in value if key.startswith("_")]
    if not marks:
        return {key: parse_expressions(item, f"{path}.{key}".lstrip("."), problems) for key, item in value.items()}
    found: list[str] = []
    parsed: Node = None
    if len(marks) > 1:
        found.append(f"has more than one expression: {', '.join(marks)}")
    elif marks[0] == "_choice":
        parsed = _choice(value, path, problems, found)
    elif marks[0] in RANGES:
        parsed = _range(marks[0], value, found)
    else:
        found.append(f"{marks[0]} is no expression; known: {', '.join(KNOWN)}")
    problems += [Problem(path, message) for message in found]
    return parsed


def _choice(value: dict[str, object], path: str, problems: list[Problem], found: list[str]) -> Choice | None:
    options = value["_choice"]
    if len(value) > 1:
        found.append(f"unknown key beside _choice: {', '.join(set(value) - {'_choice'})}")
    if not isinstance(options, list) or not options:
        found.append("_choice needs a list of one option or more")
        return None
    return Choice(tuple(parse_expressions(option, f"{path}[{i}]", problems) for i, option in enumerate(options)))


def _range(kind: str, value: dict[str, object], found: list[str]) -> Range | None:
    log, integer = kind.startswith("_log"), kind.endswith("int")
    extra = set(value) - {kind, "step"}
    bounds, step = value[kind], value.get("step")
    if extra:
        found.append(f"unknown key beside {kind}: {', '.join(sorted(extra))}; known: step")
    if not isinstance(bounds, list) or len(bounds) != 2 or not all(map(_is_number, bounds)):
        found.append(f"{kind} needs [low, high], two numbers (it is {bounds})")
        return None
    low, high = bounds
    if low >= high:
        found.append(f"{kind} needs low < high (it is {bounds})")
    if log and low <= 0:
        found.append(f"{kind} needs low > 0 (it is {bounds}): a logarithm has no zero")
    if integer and not all(float(bound).is_integer() for bound in bounds):
        found.append(f"{kind} needs whole numbers (it is {bounds})")
    if step is not None:
        _check_step(kind, step, (low, high), found)
    return None if found else Range(low, high, log, integer, step if _is_number(step) else None)


def _check_step(kind: str, step: object, bounds: tuple[float, float], found: list[str]) -> None:
    if kind.startswith("_log"):
        found.append(f"step makes no sense with {kind}: a logarithmic range has no even steps; remove it")
    elif not _is_number(step) or not 0 < step <= bounds[1] - bounds[0]:
        found.append(f"step must be above 0 and at most high - low (it is {step})")
    elif kind == "_int" and not float(step).is_integer():
        found.append(f"step must be a whole number with _int (it is {step})")


def _log_ratio(high: float, low: float) -> float:
    """The logarithm of high / low, also where the ratio is no finite number."""
    return math.log(high) - math.log(low) if math.isinf(high / low) else math.log(high / low)


def _is_plain(option: Node) -> TypeGuard[Scalar]:
    return not isinstance(option, dict | list | Choice | Range)


def _name(option: Node) -> str | None:
    """The name of a sub-config."""
    name = option.get("name") if isinstance(option, dict) else None
    return name if isinstance(name, str) else None


def _is_number(value: object) -> TypeGuard[int | float]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) < 2**63  # which neither NaN nor infinity is
