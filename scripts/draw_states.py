"""Draws docs/states.svg: the life of a training.

python -m scripts.draw_states
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from scripts.drawing import Point, arrow, box, frame, picture

TARGET = Path(__file__).parents[1] / "docs" / "states.svg"

_OPEN = ("new", "queued", "running")
_STOPPED = ("failed", "canceled", "pruned", "diverged")


@dataclass(frozen=True)
class _Change:
    """An arrow: from each status of one group to each of another."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    points: list[Point]
    label: Point
    text: list[str]
    both: bool = False


_CHANGES = [
    _Change(("new",), ("queued",), [(260, 150), (400, 150)], (330, 140), ["claimed for a cluster"]),
    _Change(("queued",), ("running",), [(520, 150), (690, 150)], (605, 140), ["its run has reported"]),
    _Change(("queued",), ("new",), [(460, 180), (460, 215), (225, 215), (225, 180)], (345, 207), ["lost, or refused"]),
    _Change(
        ("new",),
        ("running",),
        [(200, 130), (200, 80), (735, 80), (735, 130)],
        (465, 72),
        ["lost; taken back when its run reports after all"],
        both=True,
    ),
    _Change(("running",), ("new",), [], (0, 0), []),  # the same arrow, the other way round
    _Change(
        ("running",),
        ("running",),
        [(770, 130), (770, 105), (850, 105), (850, 150), (810, 150)],
        (815, 98),
        ["each epoch"],
    ),
    _Change(_OPEN, ("completed",), [(200, 240), (200, 320)], (200, 0), []),
    _Change(_OPEN, _STOPPED, [(460, 240), (460, 320)], (460, 0), []),
    _Change(_OPEN, ("paused",), [(750, 240), (750, 320)], (845, 285), ["its search may resume it"]),
    _Change(_STOPPED, ("new",), [(460, 370), (460, 410), (60, 410), (60, 165), (140, 165)], (400, 400), ["retried"]),
    _Change(("paused",), ("new",), [(750, 370), (750, 410), (460, 410)], (640, 400), ["resumed, or retried"]),
]


def transitions() -> set[tuple[str, str]]:
    """Every change of status that the picture shows."""
    return {pair for change in _CHANGES for pair in product(change.before, change.after)}


def draw() -> str:
    """The whole picture as SVG."""
    return picture("The life of a training", (980, 440), list(_parts()))


def _parts() -> Iterator[str]:
    yield frame((110, 50), (820, 190))
    for x, name in ((140, "new"), (400, "queued"), (690, "running")):
        yield box((x, 130), (120, 50), name, kind="main")
    yield box((140, 320), (120, 50), "completed")
    yield box((300, 320), (320, 50), ", ".join(_STOPPED))
    yield box((690, 320), (120, 50), "paused")
    yield arrow([(30, 145), (140, 145)], (66, 136), ["submitted"])
    for change in _CHANGES:
        if change.points:
            yield arrow(change.points, change.label, change.text, both=change.both)


if __name__ == "__main__":
    TARGET.write_text(draw(), "utf-8")
