"""Search spaces: a parsed config, its parameters, and the conversion of points to configs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from pydantic import JsonValue

from mitorch_service.errors import Problem
from mitorch_service.search.space.expressions import Choice, Node, Range, parse_expressions

Draw = Callable[[Choice | Range, str], float]  # parameter, its name -> option index or number
Config: TypeAlias = dict[str, JsonValue]
Point = Mapping[str, float]  # the value of each active parameter, by name: an option's index, or a number

_NONE: Mapping[str, int] = {}
_OPTION = ":option"  # marks the name of an expression that is itself an option of a choice
_TWICE = 'is the name of two parameters: write either the key "a.b" or "a": {"b": …}, not both'


@dataclass(frozen=True)
class Parameter:
    """One expression of a space, active or not."""

    name: str  # dotted path: unique among the parameters that are active at the same time
    key: str  # the name, with a number where options of a choice have different expressions of one name
    expression: Choice | Range
    conditions: tuple[tuple[str, int], ...]  # active while each of these choices (by key) has this option

    @property
    def span(self) -> float:
        """The number of its values; infinity for a continuous range."""
        return len(self.expression.options) if isinstance(self.expression, Choice) else self.expression.count()


@dataclass(frozen=True)
class Space:
    """A parsed config: plain values, with a Choice or Range in place of each expression."""

    root: Node

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, in the order of the config's text; a choice before those inside its options."""
        found: list[Parameter] = []
        _collect(self.root, "", (), found, _Keys())
        return tuple(found)

    @cached_property
    def keys(self) -> dict[int, str]:
        """The key of each parameter, by the `id` of its expression."""
        return {id(parameter.expression): parameter.key for parameter in self.parameters}

    def active(self, point: Point) -> list[Parameter]:
        """Returns the parameters that a point has."""
        return [parameter for parameter, _ in self._active((), lambda parameter: point[parameter.name])]

    def by_key(self, point: Point) -> dict[str, float]:
        """Returns the values of a point by key: two options may have different parameters of one name."""
        return {parameter.key: point[parameter.name] for parameter in self.active(point)}

    def options(self, point: Point) -> dict[str, int]:
        """Returns the index of the chosen option of each choice, by name."""
        active = self.active(point)
        return {one.name: int(point[one.name]) for one in active if isinstance(one.expression, Choice)}

    def at(self, point: Point) -> tuple[Config, dict[str, JsonValue]]:
        """Returns the config at a point, and its parameters, readable, by dotted path."""
        return self.build(lambda _, name: point[name])

    def point_from(self, draw: Draw) -> dict[str, float]:
        """Returns the point with the values of `draw`, snapped to the ranges; calls it in the order of `build`."""

        def value(parameter: Parameter) -> float:
            expression = parameter.expression
            drawn = draw(expression, parameter.name)
            return int(drawn) if isinstance(expression, Choice) else expression.snap(drawn)

        return {parameter.name: chosen for parameter, chosen in self._active((), value)}

    def point_of(
        self, parameters: Mapping[str, object], draw: Draw | None = None, options: Mapping[str, int] = _NONE
    ) -> dict[str, float] | None:
        """Returns the point with these parameters, the inverse of `at`; `draw` gives missing ones. `options`: the
        indices of chosen options by name, as `options` gives them, which labels cannot contradict. None if a value is
        not of this space, or one is missing and there is no `draw`."""

        def look_up(expression: Choice | Range, name: str) -> float:
            if isinstance(expression, Choice) and 0 <= options.get(name, -1) < len(expression.options):
                return options[name]
            if name in parameters:
                return expression.raw(parameters[name])
            if draw is None:
                raise ValueError(f"{name} is missing")
            return draw(expression, name)

        try:
            return self.point_from(look_up)
        except ValueError:
            return None

    def build(self, draw: Draw) -> tuple[Config, dict[str, JsonValue]]:
        """Returns a config, and its parameters by dotted path; calls `draw` for each active parameter, in the order of
        the config's text."""
        parameters: dict[str, JsonValue] = {}
        config = _build(self.root, "", draw, parameters)
        return config if isinstance(config, dict) else {}, parameters

    def is_constant(self) -> bool:
        """Whether there is nothing to search."""
        return not self.build(lambda parameter, name: 0 if isinstance(parameter, Choice) else parameter.low)[1]

    def corners(self) -> Iterator[Config]:
        """Yields configs that together contain each option of each choice, and both ends of each range: if all of them
        are valid, so are, except in odd cases, all configs of the space."""
        yield from (config for config in _corners(self.root) if isinstance(config, dict))

    def _active(
        self, conditions: tuple[tuple[str, int], ...], value: Callable[[Parameter], float]
    ) -> Iterator[tuple[Parameter, float]]:
        """The parameters below these conditions and their values, in the order of the config's text."""
        for parameter in self._below.get(conditions, ()):
            chosen = value(parameter)
            yield parameter, chosen
            if isinstance(parameter.expression, Choice):
                yield from self._active((*conditions, (parameter.key, int(chosen))), value)

    @cached_property
    def _below(self) -> dict[tuple[tuple[str, int], ...], list[Parameter]]:
        below: dict[tuple[tuple[str, int], ...], list[Parameter]] = {}
        for parameter in self.parameters:
            below.setdefault(parameter.conditions, []).append(parameter)
        return below


def parse_space(config: Mapping[str, object]) -> tuple[Space, list[Problem]]:
    """Returns the space of a config, and the problems of its expressions, each with its path."""
    problems: list[Problem] = []
    space = Space(parse_expressions(config, "", problems))
    _check_names(space.root, "", problems)
    return space, problems


def _build(node: Node, path: str, draw: Draw, parameters: dict[str, JsonValue]) -> JsonValue:
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


class _Keys:
    """The keys of parameters. Equal ranges of one name share a key, and with it a column of a sampler's model; choices
    do not, as their options differ."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._of_ranges: dict[tuple[str, Range], str] = {}

    def key(self, name: str, expression: Choice | Range) -> str:
        key = f"{name}#{self._counts[name]}" if self._counts[name] else name
        self._counts[name] += 1
        return self._of_ranges.setdefault((name, expression), key) if isinstance(expression, Range) else key


def _collect(
    node: Node, path: str, conditions: tuple[tuple[str, int], ...], found: list[Parameter], keys: _Keys, within: int = 0
) -> None:
    for key, item in _items(node):
        _collect(item, _inner(node, path, key), conditions, found, keys)
    if isinstance(node, Choice | Range):
        name = path + _OPTION * within
        parameter = Parameter(name, keys.key(name, node), node, conditions)
        found.append(parameter)
        for index, option in enumerate(node.options if isinstance(node, Choice) else ()):
            _collect(option, path, (*conditions, (parameter.key, index)), found, keys, within + 1)


def _check_names(node: Node, path: str, problems: list[Problem], within: int = 0) -> set[str]:
    """Returns the names of the parameters of a part; adds those to `problems` that a point would have twice."""
    found: set[str] = set()
    if isinstance(node, Choice | Range):
        found.add(path + _OPTION * within)
        for option in node.options if isinstance(node, Choice) else ():
            found |= _check_names(option, path, problems, within + 1)
    for key, item in _items(node):
        names = _check_names(item, _inner(node, path, key), problems)
        problems += [Problem(name, _TWICE) for name in sorted(found & names)]
        found |= names
    return found


def _items(node: Node) -> Iterable[tuple[str | int, Node]]:
    if isinstance(node, dict):
        return node.items()
    return enumerate(node) if isinstance(node, list) else ()


def _inner(node: Node, path: str, key: str | int) -> str:
    return f"{path}[{key}]" if isinstance(node, list) else f"{path}.{key}".lstrip(".")


def _free_name(path: str, parameters: Mapping[str, object]) -> str:
    """The path; marked if the expression is itself an option of the choice with that path."""
    while path in parameters:
        path += _OPTION
    return path


def _corners(node: Node) -> list[JsonValue]:
    if isinstance(node, Choice):
        return [corner for option in node.options for corner in _corners(option)]
    if isinstance(node, Range):
        return [node.snap(node.low), node.snap(node.high)]
    if isinstance(node, dict):
        return [dict(zip(node, row, strict=True)) for row in _rows([_corners(item) for item in node.values()])]
    if isinstance(node, list):
        return [*_rows([_corners(item) for item in node])]
    return [node]


def _rows(columns: list[list[JsonValue]]) -> list[list[JsonValue]]:
    """As many rows as the longest column has values; shorter columns repeat their last one."""
    count = max(map(len, columns), default=1)
    return [[column[min(i, len(column) - 1)] for column in columns] for i in range(count)]
