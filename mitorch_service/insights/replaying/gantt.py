"""Draws replays as one SVG: a row of colour for each node, by who uses it, one panel for each policy."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby

from mitorch_service.controller.replay.work import Nodes, Placed
from mitorch_service.insights.replaying.comparison import Comparison, Replayed
from mitorch_service.wording.elapsed import seconds_text

_WIDTH, _LEFT, _RIGHT, _TOP = 1000, 110, 50, 34
_MOST_LANES = 160  # of a panel; more nodes share them
_STEPS = (60, 300, 900, 3600, 10800, 21600, 43200, 86400)  # seconds between marks; then whole days
_MOST_MARKS = 8
_COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e")
_OTHERS = "#9498a0"
_STYLE = "text{font:12px sans-serif;fill:#333}.t{font-weight:600}.s{fill:#666;font-size:11px}"


def draw_gantt(comparison: Comparison) -> str:
    """Returns the picture. Times are those of the longest course, so that panels compare."""
    colours = _colours(comparison)
    first, last = _span(comparison.replayed)
    parts, y = [_legend(colours, comparison.by)], _TOP
    for one in comparison.replayed:
        panel, height = _panel(one, comparison, colours, first, last)
        parts.append(f'<g transform="translate(0 {y})">{panel}</g>')
        y += height
    size = f'width="{_LEFT + _WIDTH + _RIGHT}" height="{y + 10}" viewBox="0 0 {_LEFT + _WIDTH + _RIGHT} {y + 10}"'
    style = f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{style}{"".join(parts)}</svg>\n'


def lanes(placed: Iterable[Placed], clusters: Sequence[Nodes]) -> dict[tuple[str, int], list[Placed]]:
    """Gives each training as many nodes of its cluster as it has, by number; returns what ran on each, in order."""
    free = {one.name: list(range(one.nodes)) for one in clusters}
    busy: dict[str, list[tuple[float, int]]] = defaultdict(list)
    ran: dict[tuple[str, int], list[Placed]] = {(c.name, n): [] for c in clusters for n in range(c.nodes)}
    for one in placed:
        ends, idle = busy[one.cluster], free[one.cluster]
        while ends and ends[0][0] <= one.start:
            heapq.heappush(idle, heapq.heappop(ends)[1])
        for _ in range(one.work.nodes):
            node = heapq.heappop(idle)
            heapq.heappush(ends, (one.end, node))
            ran[one.cluster, node].append(one)
    return ran


def _colours(comparison: Comparison) -> dict[str, str]:
    """The shares with the most node hours have colours of their own."""
    hours: Counter[str] = Counter()
    for share in comparison.replayed[0].measures.shares:
        hours[share.share] += int(share.node_hours * 3600)
    most = sorted(share for share, _ in hours.most_common(len(_COLOURS)))
    return dict(zip(most, _COLOURS, strict=False))


def _span(replayed: Iterable[Replayed]) -> tuple[float, float]:
    placed = [one for replay in replayed for one in replay.course.placed]
    first = min((one.work.submitted for one in placed), default=0.0)
    return first, max((one.end for one in placed), default=first + 1.0)


def _legend(colours: Mapping[str, str], by: str) -> str:
    names = [(share or f"no {by}", colour) for share, colour in colours.items()]
    names += [("others", _OTHERS)] if len(colours) == len(_COLOURS) else []
    parts, x = [], float(_LEFT)
    for name, colour in names:
        shown = name if len(name) <= 20 else name[:19] + "…"
        parts.append(f'<rect x="{x:g}" y="10" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 16:g}" y="20">{escape(shown)}</text>')
        x += 34 + 7 * len(shown)
    return "".join(parts)


def _panel(
    one: Replayed, comparison: Comparison, colours: Mapping[str, str], first: float, last: float
) -> tuple[str, int]:
    measured, parts, y = one.measures, [], 36
    title = f"{one.policy.text()}"
    told = (
        f"mean wait {seconds_text(measured.wait.mean)}, utilisation {measured.utilisation:.0%}, "
        f"mean slowdown {measured.slowdown.mean:.1f}"
    )
    parts.append(f'<text class="t" x="{_LEFT}" y="14">{escape(title)}</text><text x="{_LEFT}" y="29">{told}</text>')
    ran = lanes(one.course.placed, comparison.clusters)
    total = sum(cluster.nodes for cluster in comparison.clusters)
    every, height = -(-total // _MOST_LANES), max(2, min(14, 400 // total))
    for cluster in comparison.clusters:
        shown = range(0, cluster.nodes, every)
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 10}" text-anchor="end">{escape(cluster.name)}</text>')
        parts.append(f'<rect x="{_LEFT}" y="{y}" width="{_WIDTH}" height="{len(shown) * height}" fill="#f2f2f2"/>')
        for node in shown:
            parts += _lane(ran[cluster.name, node], comparison.by, colours, first, last, y, height)
            y += height
        y += 6
    return "".join(parts) + _axis(first, last, y), y + 34


def _lane(
    ran: Sequence[Placed], by: str, colours: Mapping[str, str], first: float, last: float, y: int, height: int
) -> Iterator[str]:
    """The boxes of one node; what is narrower than a column is drawn as its last training."""
    columns: dict[int, str] = {}
    scale = _WIDTH / (last - first)
    for one in ran:
        share = one.work.user if by == "user" else one.work.team
        begin, end = int((one.start - first) * scale), int((one.end - first) * scale)
        columns |= dict.fromkeys(range(begin, max(begin + 1, end)), colours.get(share, _OTHERS))
    ordered = sorted(columns.items())
    for (colour, _), run in groupby(enumerate(ordered), key=lambda item: (item[1][1], item[1][0] - item[0])):
        cells = [column for _, (column, _) in run]
        width = cells[-1] - cells[0] + 1
        yield f'<rect x="{_LEFT + cells[0]}" y="{y}" width="{width}" height="{height - 1}" fill="{colour}"/>'


def _axis(first: float, last: float, y: int) -> str:
    parts, length = [], last - first
    step = next((step for step in _STEPS if length / step <= _MOST_MARKS), 0) or _days(length)
    for mark in range(int(length / step) + 1):
        x = _LEFT + _WIDTH * mark * step / length
        parts.append(f'<path d="M{x:.1f} {y - 4}v4" stroke="#999"/>')
        parts.append(f'<text class="s" x="{x:.1f}" y="{y + 12}" text-anchor="middle">{_mark(mark * step)}</text>')
    return "".join(parts)


def _days(length: float) -> int:
    """Seconds of as many whole days as marks must be apart."""
    return 86400 * math.ceil(length / 86400 / _MOST_MARKS)


def _mark(seconds: int) -> str:
    for name, size in (("d", 86400), ("h", 3600)):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {name}"
    return f"{seconds // 3600}:{seconds % 3600 // 60:02} h"
