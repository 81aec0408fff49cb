"""Counts the points of a space, and numbers those of a finite one."""

from __future__ import annotations

from bisect import bisect_right

from mitorch_service.search.space.expressions import Choice, Node, Range, points
from mitorch_service.search.space.space import Point, Space


def size(space: Space) -> float:
    """Returns the number of points, an integer or infinity. Conditional parameters count where they are active."""
    return points(space.root)


def point_with_number(space: Space, number: int) -> Point:
    """Returns a point of a finite space by its number from 0; the last parameter of the text changes first."""
    digits = _Digits(number)
    drawn: dict[int, float] = {}
    _unrank(space.root, digits, drawn)
    return space.point_from(lambda expression, _: drawn[id(expression)])


class _Digits:
    """A number in a mixed base, whose digits are taken from the right."""

    def __init__(self, number: int) -> None:
        self.rest = number

    def take(self, base: int) -> int:
        self.rest, digit = divmod(self.rest, base)
        return digit


def _parts(node: Node) -> list[Node]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []


def _unrank(node: Node, digits: _Digits, drawn: dict[int, float]) -> None:
    if isinstance(node, Choice):
        rest = digits.take(int(node.ends[-1]))
        index = bisect_right(node.ends, rest)
        drawn[id(node)] = index
        before = int(node.ends[index - 1]) if index else 0
        return _unrank(node.options[index], _Digits(rest - before), drawn)
    if isinstance(node, Range):
        drawn[id(node)] = node.nth(digits.take(int(node.count())))
    for part in reversed(_parts(node)):
        _unrank(part, digits, drawn)
    return None
