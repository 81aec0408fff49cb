"""Maps a space to the unit cube: each point is a row of numbers from 0 to 1, for samplers that work on vectors."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mitorch_service.search.space.expressions import Choice, Range
from mitorch_service.search.space.space import Parameter, Point, Space

Matrix = NDArray[np.float64]

INACTIVE = 0.5  # in the column of a parameter that a point does not have


class UnitCube:
    """The unit cube of a space, with a column for each key of its parameters; `width` columns."""

    def __init__(self, space: Space) -> None:
        self.space = space
        parameters: dict[str, Parameter] = {}
        for parameter in space.parameters:
            parameters.setdefault(parameter.key, parameter)
        self.columns = {key: index for index, key in enumerate(parameters)}
        self.kinds = [parameter.expression for parameter in parameters.values()]
        self.width = len(self.kinds)

    def rows(self, points: Iterable[Point]) -> Matrix:
        """Returns the n points as rows (n x width)."""
        points = list(points)
        matrix = np.full((len(points), self.width), INACTIVE)
        for row, point in zip(matrix, points, strict=True):
            for parameter in self.space.active(point):
                row[self.columns[parameter.key]] = _to_unit(parameter.expression, point[parameter.name])
        return matrix

    def point(self, row: Iterable[float]) -> Point:
        """Returns the point of a row (width), with numbers that the ranges allow."""
        units = list(row)
        keys = self.space.keys
        return self.space.point_from(
            lambda expression, _: _from_unit(expression, units[self.columns[keys[id(expression)]]])
        )

    def snap(self, matrix: Matrix) -> Matrix:
        """Returns each row (n x width) moved to the nearest point of the space."""
        matrix = np.clip(matrix, 0.0, 1.0)
        for column, kind in enumerate(self.kinds):
            matrix[:, column] = _snapped(kind, matrix[:, column])
        active = self._active(matrix)
        return np.where(active, matrix, INACTIVE)

    def _active(self, matrix: Matrix) -> NDArray[np.bool_]:
        active = np.zeros(matrix.shape, dtype=bool)
        for parameter in self.space.parameters:
            holds = np.ones(len(matrix), dtype=bool)
            for key, option in parameter.conditions:
                column = self.columns[key]
                count = len(self.kinds[column].options)  # type: ignore[union-attr]
                holds &= active[:, column] & (np.floor(matrix[:, column] * count) == option)
            active[:, self.columns[parameter.key]] |= holds
        return active

    def features(self, matrix: Matrix) -> tuple[Matrix, NDArray[np.intp]]:
        """Returns a model's features (n x f) of the rows, and each feature's parameter (f): ranges unchanged, choices
        among numbers by rank, other choices one-hot."""
        parts: list[Matrix] = []
        owners: list[int] = []
        for column, kind in enumerate(self.kinds):
            part = _features_of(kind, matrix[:, column])
            parts.append(part)
            owners += [column] * part.shape[1]
        return np.hstack(parts), np.array(owners)


def _to_unit(kind: Choice | Range, value: float) -> float:
    return (value + 0.5) / len(kind.options) if isinstance(kind, Choice) else kind.to_unit(value)


def _from_unit(kind: Choice | Range, unit: float) -> float:
    if isinstance(kind, Choice):
        return min(int(unit * len(kind.options)), len(kind.options) - 1)
    return kind.from_unit(unit)


def _snapped(kind: Choice | Range, units: Matrix) -> Matrix:
    """`_to_unit(_from_unit(…))` of a whole column; continuous ranges stay as they are."""
    if isinstance(kind, Range) and kind.log and kind.integer:
        low, high = kind.low - 0.5, kind.high + 0.5
        numbers = np.clip(np.rint(low * (high / low) ** units), kind.low, kind.high)
        return np.asarray(np.log(numbers / low) / np.log(high / low))
    count = len(kind.options) if isinstance(kind, Choice) else kind.count()
    if count == np.inf:
        return units
    return np.asarray((np.minimum(np.floor(units * count), count - 1) + 0.5) / count)


def _features_of(kind: Choice | Range, units: Matrix) -> Matrix:
    if isinstance(kind, Range):
        return units[:, None]
    count = len(kind.options)
    indices = np.minimum((units * count).astype(int), count - 1)
    if order := kind.order():
        return np.asarray((np.argsort(order)[indices] + 0.5) / count)[:, None]
    one_hot = np.zeros((len(units), count))
    one_hot[np.arange(len(units)), indices] = np.sqrt(0.5)  # the distance of two options is 1
    return one_hot
