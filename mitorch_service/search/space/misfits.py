"""Explains which of given parameters are not of a space, each with the nearest value that is."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping

from mitorch_service.search.space.expressions import Choice, Range
from mitorch_service.search.space.space import Parameter, Space

Conditions = tuple[tuple[str, int], ...]

_SHOWN_LABELS, _SHOWN_PLACES = 10, 3
_SAME = 1e-9  # relative; a range keeps 12 digits


def misfits(space: Space, parameters: Mapping[str, object]) -> list[str]:
    """Returns one line for each parameter that a trial could not have as it is given: a value outside of its range or
    between its steps, no option of its choice, or a parameter that another option would have."""
    given = _Given(space, parameters)
    present = given.check(())
    absent = [name for name in parameters if name not in present]
    return [*dict.fromkeys(given.wrong), *(f"{name} {_where(space, name)}: add that, or remove it" for name in absent)]


def misfit(expression: Choice | Range, value: object) -> str | None:
    """Returns why a value is none of the expression's, with the nearest one; None if it is."""
    if isinstance(expression, Choice):
        try:
            expression.raw(value)
        except ValueError:
            return f"is {_text(value)}; {_nearest_option(expression, value)}"
        return None
    ends = f"{expression.low:g} to {expression.high:g}"
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return f"is {_text(value)}; it must be a number from {ends}"
    nearest = expression.snap(min(max(value, expression.low), expression.high))
    if math.isclose(nearest, value, rel_tol=_SAME, abs_tol=_SAME * (expression.high - expression.low)):
        return None
    why = f"between two of the steps of {expression.step:g}" if expression.step else "not a whole number"
    if not expression.low <= value <= expression.high:
        why = f"outside of {ends}"
    return f"is {_text(value)}, {why}; the nearest is {_text(nearest)}"


class _Given:
    """Given parameters, compared with those of the space, level by level of its choices."""

    def __init__(self, space: Space, parameters: Mapping[str, object]) -> None:
        self.wrong: list[str] = []
        self._parameters = parameters
        self._below: dict[Conditions, list[Parameter]] = {}
        for parameter in space.parameters:
            self._below.setdefault(parameter.conditions, []).append(parameter)

    def check(self, conditions: Conditions) -> set[str]:
        """Returns the names of the parameters that a trial has below these conditions, whatever is left to chance."""
        present: set[str] = set()
        for parameter in self._below.get(conditions, ()):
            present.add(parameter.name)
            wrong = None
            if parameter.name in self._parameters:
                wrong = misfit(parameter.expression, self._parameters[parameter.name])
                self.wrong += [] if wrong is None else [f"{parameter.name} {wrong}"]
            if isinstance(parameter.expression, Choice):
                present |= self._within(parameter, parameter.expression, wrong is None)
        return present

    def _within(self, parameter: Parameter, choice: Choice, fits: bool) -> set[str]:
        """The names within the chosen option; within every option if none is given; within any if it is wrong."""
        if parameter.name in self._parameters and fits:
            index = choice.raw(self._parameters[parameter.name])
            return self.check((*parameter.conditions, (parameter.key, index)))
        inner = [self.check((*parameter.conditions, (parameter.key, i))) for i in range(len(choice.options))]
        return set.intersection(*inner) if fits else set.union(*inner)


def _where(space: Space, name: str) -> str:
    """The options with which a parameter of this name exists."""
    choices = {p.key: (p.name, p.expression) for p in space.parameters if isinstance(p.expression, Choice)}
    found: list[str] = []
    for parameter in space.parameters:
        if parameter.name == name and len(found) < _SHOWN_PLACES:
            steps = [(choices[key], option) for key, option in parameter.conditions]
            found.append(" and ".join(f"{path} is {_text(choice.label(i))}" for (path, choice), i in steps))
    return f"exists only where {' or '.join(found)}"


def _nearest_option(choice: Choice, value: object) -> str:
    labels = choice.labels
    numbers = [label for label in labels if isinstance(label, int | float) and not isinstance(label, bool)]
    if isinstance(value, int | float) and not isinstance(value, bool) and numbers:
        return f"the nearest is {_text(min(numbers, key=lambda number: abs(number - value)))}"
    near = difflib.get_close_matches(_text(value), map(_text, labels), n=1, cutoff=0.6)
    rest = ", …" if len(labels) > _SHOWN_LABELS else ""
    known = f"known: {', '.join(map(_text, labels[:_SHOWN_LABELS]))}{rest}"
    return f"did you mean {near[0]}? {known}" if near else known


def _text(value: object) -> str:
    """As in JSON, where it can be."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return repr(value)
