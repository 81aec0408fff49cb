"""Search spaces: a config in which some values are expressions, and how a draw becomes a config.

Expressions are objects with one key that begins with ``_``, and sometimes ``step``::

    {"_choice": [a, b, {"name": "sgd", "momentum": {"_uniform": [0, 0.9]}}]}   options may hold expressions
    {"_uniform": [low, high], "step": s}   {"_loguniform": [low, high]}
    {"_int": [low, high], "step": s}       {"_logint": [low, high]}            low and high included
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mitorch_service.errors import Problem

Draw = Callable[["Choice | Range", str], Any]  # parameter, its name -> option index or number

RANGES = ("_uniform", "_loguniform", "_int", "_logint")
KNOWN = ("_choice", *RANGES)


@dataclass(frozen=True)
class Choice:
    """One of several options; the parameters inside an option exist only while it is chosen."""

    options: tuple[Any, ...]  # of plain values, Choices, Ranges, dicts and lists of these

    def label(self, index: int) -> Any:
        """What stands for the option in a table: a plain value itself, a sub-config's name where names differ."""
        option = self.options[index]
        if not isinstance(option, dict | list | Choice | Range):
            return option
        names = [o.get("name") if isinstance(o, dict) else None for o in self.options]
        name = names[index]
        return name if isinstance(name, str) and names.count(name) == 1 else f"option {index}"


@dataclass(frozen=True)
class Range:
    """A number between low and high, both included."""

    low: float
    high: float
    log: bool = False
    integer: bool = False
    step: float | None = None

    def snap(self, value: float) -> float | int:
        """The nearest number that the range allows."""
        if self.step is not None:
            value = self.low + round((value - self.low) / self.step) * self.step
            if value > self.high + 1e-9 * self.step:
                value -= self.step
        if self.integer:
            return round(min(max(value, self.low), self.high))
        short = float(f"{value:.12g}")  # 0.3, not 0.30000000000000004
        return min(max(short, float(self.low)), float(self.high))


@dataclass(frozen=True)
class Space:
    """A parsed config: plain values, with Choice and Range where the expressions stood."""

    root: Any

    def build(self, draw: Draw) -> tuple[dict[str, Any], dict[str, Any]]:
        """A config, and its parameters by dotted path, asking `draw` for each parameter that is active. The order of
        asking is that of the config's text."""
        parameters: dict[str, Any] = {}
        config = _build(self.root, "", draw, parameters)
        return config, parameters

    def is_constant(self) -> bool:
        """Whether there is nothing to search."""
        return not self.build(lambda parameter, name: 0 if isinstance(parameter, Choice) else parameter.low)[1]

    def corners(self) -> Iterator[dict[str, Any]]:
        """Configs that show every option of every choice, and both ends of every range, at least once: if each of
        them is valid, so is (in all but odd cases) whatever is drawn."""
        yield from (config for config in _corners(self.root) if isinstance(config, dict))


def parse_space(config: Mapping[str, Any]) -> tuple[Space, list[Problem]]:
    """The space of a config, with everything that is wrong with its expressions, each with its path."""
    problems: list[Problem] = []
    return Space(_parse(config, "", problems)), problems


def _parse(value: Any, path: str, problems: list[Problem]) -> Any:
    if isinstance(value, list):
        return [_parse(item, f"{path}[{i}]", problems) for i, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    marks = [key for key in value if key.startswith("_")]
    if not marks:
        return {key: _parse(item, f"{path}.{key}".lstrip("."), problems) for key, item in value.items()}
    found: list[str] = []
    parsed: Any = None
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


def _choice(value: dict[str, Any], path: str, problems: list[Problem], found: list[str]) -> Any:
    options = value["_choice"]
    if len(value) > 1:
        found.append(f"unknown key beside _choice: {', '.join(set(value) - {'_choice'})}")
    if not isinstance(options, list) or not options:
        found.append("_choice needs a list of one option or more")
        return None
    return Choice(tuple(_parse(option, f"{path}[{i}]", problems) for i, option in enumerate(options)))


def _range(kind: str, value: dict[str, Any], found: list[str]) -> Any:
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
    return None if found else Range(low, high, log, integer, step)


def _check_step(kind: str, step: Any, bounds: tuple[float, float], found: list[str]) -> None:
    if kind.startswith("_log"):
        found.append(f"step makes no sense with {kind}: a logarithmic range has no even steps; remove it")
    elif not _is_number(step) or not 0 < step <= bounds[1] - bounds[0]:
        found.append(f"step must be above 0 and at most high - low (it is {step})")
    elif kind == "_int" and not float(step).is_integer():
        found.append(f"step must be a whole number with _int (it is {step})")


def _is_number(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) < 2**63  # which neither NaN nor infinity is


def _build(node: Any, path: str, draw: Draw, parameters: dict[str, Any]) -> Any:
    if isinstance(node, dict):
        return {key: _build(item, f"{path}.{key}".lstrip("."), draw, parameters) for key, item in node.items()}
    if isinstance(node, list):
        return [_build(item, f"{path}[{i}]", draw, parameters) for i, item in enumerate(node)]
    if isinstance(node, Choice):
        name = _free_name(path, parameters)
        index = int(draw(node, name))
        parameters[name] = node.label(index)
        return _build(node.options[index], path, draw, parameters)
    if isinstance(node, Range):
        name = _free_name(path, parameters)
        parameters[name] = node.snap(draw(node, name))
        return parameters[name]
    return node


def _free_name(path: str, parameters: Mapping[str, Any]) -> str:
    """The path, or with a mark where an expression is itself an option of the choice that has that name."""
    while path in parameters:
        path += ":option"
    return path


def _corners(node: Any) -> list[Any]:
    if isinstance(node, Choice):
        return [corner for option in node.options for corner in _corners(option)]
    if isinstance(node, Range):
        return [node.snap(node.low), node.snap(node.high)]
    if isinstance(node, dict | list):
        items = list(node.items()) if isinstance(node, dict) else list(enumerate(node))
        parts = {key: _corners(item) for key, item in items}
        count = max((len(part) for part in parts.values()), default=1)
        rows = [{key: part[min(i, len(part) - 1)] for key, part in parts.items()} for i in range(count)]
        return rows if isinstance(node, dict) else [list(row.values()) for row in rows]
    return [node]
