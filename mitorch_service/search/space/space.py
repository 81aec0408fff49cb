"""Search spaces: a parsed config, its parameters, and the conversion of points to configs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from pydantic import JsonValue

from mitorch_service.errors import Problem
from mitorch_service.search.space.expressions import Choice, Node, Range, parse_expressions

Draw = Callable[[Choice | Range, str], float]  # parameter, its name -> option index or number
Config: TypeAlias = dict[str, JsonValue]
Point = Mapping[str, float]  # the value of each active parameter, by name: an option's index, or a number


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
        _collect(self.root, "", (), found)
        return tuple(found)

    def active(self, point: Point) -> list[Parameter]:
        """Returns the parameters that a point has."""
        chosen: dict[str, float] = {}
        active: list[Parameter] = []
        for parameter in self.parameters:
            if all(chosen.get(key) == option for key, option in parameter.conditions):
                chosen[parameter.key] = point[parameter.name]
                active.append(parameter)
        return active

    def at(self, point: Point) -> tuple[Config, dict[str, JsonValue]]:
        """Returns the config at a point, and its parameters, readable, by dotted path."""
        return self.build(lambda _, name: point[name])

    def drawn(self, draw: Draw) -> dict[str, float]:
        """Returns the point with the values of `draw`, snapped to the ranges; calls it in the order of `build`."""
        point: dict[str, float] = {}
        chosen: dict[str, float] = {}
        for parameter in self.parameters:
            if all(chosen.get(key) == option for key, option in parameter.conditions):
                expression, name = parameter.expression, parameter.name
                value = draw(expression, name)
                point[name] = int(value) if isinstance(expression, Choice) else expression.snap(value)
                chosen[parameter.key] = point[name]
        return point

    def point_of(self, parameters: Mapping[str, object], draw: Draw | None = None) -> dict[str, float] | None:
        """Returns the point with these parameters, the inverse of `at`; `draw` gives missing ones. None if a value is
        not of this space, or one is missing and there is no `draw`."""

        def look_up(expression: Choice | Range, name: str) -> float:
            if name in parameters:
                return expression.raw(parameters[name])
            if draw is None:
                raise ValueError(f"{name} is missing")
            return draw(expression, name)

        try:
            return self.drawn(look_up)
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


def parse_space(config: Mapping[str, object]) -> tuple[Space, list[Problem]]:
    """Returns the space of a config, and the problems of its expressions, each with its path."""
    problems: list[Problem] = []
    return Space(parse_expressions(config, "", problems)), problems


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


def _collect(
    node: Node, path: str, conditions: tuple[tuple[str, int], ...], found: list[Parameter], within: int = 0
) -> None:
    if isinstance(node, dict | list):
        for key, item in node.items() if isinstance(node, dict) else enumerate(node):
            inner = f"{path}[{key}]" if isinstance(node, list) else f"{path}.{key}".lstrip(".")
            _collect(item, inner, conditions, found)
    elif isinstance(node, Choice | Range):
        name = path + ":option" * within
        parameter = Parameter(name, _key(name, node, found), node, conditions)
        found.append(parameter)
        for index, option in enumerate(node.options if isinstance(node, Choice) else ()):
            _collect(option, path, (*conditions, (parameter.key, index)), found, within + 1)


def _key(name: str, expression: Choice | Range, found: list[Parameter]) -> str:
    """Equal ranges share a key, and with it a column of a sampler's model; choices do not, as their options differ."""
    same = [parameter for parameter in found if parameter.name == name]
    for parameter in same:
        if isinstance(expression, Range) and parameter.expression == expression:
            return parameter.key
    return f"{name}#{len(same)}" if same else name


def _free_name(path: str, parameters: Mapping[str, object]) -> str:
    """The path; marked if the expression is itself an option of the choice with that path."""
    while path in parameters:
        path += ":option"
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
