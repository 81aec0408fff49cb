"""The parameters of a search as columns: the scale of each, and the value of each trial that has it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from mitorch_service.insights.search.search_history import TrialPoint
from mitorch_service.search.space.expressions import Choice, Range, shown
from mitorch_service.search.space.space import Parameter, Space

_MOST_OPTIONS = 200  # of a column that is not in the space


@dataclass(frozen=True)
class Column:
    """One parameter. A number has `low` and `high`; a category has `options`, and its values are their positions."""

    name: str
    low: float
    high: float
    log: bool
    integer: bool
    options: Sequence[str]  # empty: a number
    conditional: bool  # some trials do not have it
    values: Sequence[float | None]  # of each trial, in the order of the trials

    @property
    def is_number(self) -> bool:
        return not self.options


def columns(space: Space, trials: Sequence[TrialPoint]) -> list[Column]:
    """The parameters of the space that vary, in the order of its text; then those that only trials have, as a script's
    study may."""
    by_name: dict[str, list[Parameter]] = {}
    for parameter in space.parameters:
        if parameter.span > 1:
            by_name.setdefault(parameter.name, []).append(parameter)
    found = [_of_space(name, same, trials) for name, same in by_name.items()]
    known = {parameter.name for parameter in space.parameters}
    others = dict.fromkeys(name for trial in trials for name in trial.parameters if name not in known)
    return found + [_of_trials(name, trials) for name in others]


def _of_space(name: str, same: Sequence[Parameter], trials: Sequence[TrialPoint]) -> Column:
    """One column for all parameters of a name: options of a choice may have different ones."""
    given = [trial.parameters.get(name) for trial in trials]
    ranges = [one.expression for one in same if isinstance(one.expression, Range)]
    conditional = any(one.conditions for one in same)
    if len(ranges) < len(same):
        labels = (label for one in same for label in _labels(one.expression))
        return _category(name, dict.fromkeys(labels), given, conditional)
    low, high = min(one.low for one in ranges), max(one.high for one in ranges)
    log = all(one.log for one in ranges)
    integer = all(one.integer for one in ranges)
    return Column(name, low, high, log, integer, (), conditional, [_number(value) for value in given])


def _of_trials(name: str, trials: Sequence[TrialPoint]) -> Column:
    given = [trial.parameters.get(name) for trial in trials]
    present = [trial.parameters[name] for trial in trials if name in trial.parameters]
    numbers = [number for value in present if (number := _number(value)) is not None]
    conditional = len(present) < len(trials)
    if len(numbers) < len(present) or not numbers:
        return _category(name, dict.fromkeys(map(_text, present[:_MOST_OPTIONS])), given, conditional)
    low, high = min(numbers), max(numbers)
    log, integer = low > 0 and high / low >= 1000, all(number.is_integer() for number in numbers)
    return Column(name, low, high, log, integer, (), conditional, [_number(value) for value in given])


def _category(name: str, options: Iterable[str], given: Sequence[JsonValue], conditional: bool) -> Column:
    """A trial that has a value of None cannot be told from one without the parameter, unless None is an option."""
    names = list(options)
    place = {option: float(index) for index, option in enumerate(names)}
    values = [place.get(_text(value)) for value in given]
    return Column(name, 0.0, max(len(names) - 1.0, 0.0), False, True, names, conditional, values)


def _labels(expression: Choice | Range) -> list[str]:
    return [shown(label) for label in expression.labels] if isinstance(expression, Choice) else []


def _text(value: JsonValue) -> str:
    return shown(value) if value is None or isinstance(value, str | int | float | bool) else str(value)


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
