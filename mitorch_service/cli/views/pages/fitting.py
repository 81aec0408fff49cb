"""Decides which columns and rows of a table are shown where there is not enough room for all. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from mitorch_service.cli.views.pages.page import Column

GAP = 2  # between two columns
_LEAST_WRAPPED = 30
_PIECES = re.compile(r"[^ ._/-]*[ ._/-]?")  # of a name, between which it may go on in the next line


@dataclass(frozen=True)
class Fitted:
    """A column that is shown, and how wide."""

    index: int
    width: int


def fit_columns(
    columns: Sequence[Column],
    headers: Sequence[str],
    cells: Sequence[Sequence[str]],
    is_text: Callable[[int], bool],
    width: int,
    measure: Callable[[str], int] = len,
    most_lines: int = 3,
) -> list[Fitted]:
    """The columns that fit into `width` characters, in order. Those without any value are left out; then the less
    important ones, until the others fit with their text cut, and their names in `most_lines`; then as much of it is
    shown as there is room for, of important columns first."""
    wanted, least = [], []
    for index, (column, header) in enumerate(zip(columns, headers, strict=True)):
        widest = max((measure(row[index]) for row in cells), default=0)
        wanted.append(max(widest, measure(header)))
        floor = _LEAST_WRAPPED if column.wraps else column.cut
        cut = widest if floor is None or not is_text(index) else min(widest, floor)
        least.append(max(cut, _header_width(header, most_lines, measure)))
    filled = [
        index for index, column in enumerate(columns) if column.rank == 0 or not cells or not is_empty(cells, index)
    ]
    kept = _kept(columns, filled, least, width)
    spare = width - sum(least[index] for index in kept) - GAP * (len(kept) - 1)
    widths = {index: least[index] for index in kept}
    for index in sorted(kept, key=lambda index: (columns[index].wraps, columns[index].rank, index)):
        more = max(0, min(spare, wanted[index] - least[index]))
        widths[index] += more
        spare -= more
    return [Fitted(index, widths[index]) for index in kept]


def is_empty(cells: Sequence[Sequence[str]], index: int) -> bool:
    """Whether a column has no value in any row."""
    return all(row[index] == "-" for row in cells)


def _kept(columns: Sequence[Column], filled: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    kept = list(filled)
    needed = sum(least[index] for index in kept) + GAP * (len(kept) - 1)
    for index in sorted(kept, key=lambda index: (-columns[index].rank, -index)):
        if needed <= width or columns[index].rank == 0:
            break
        kept.remove(index)
        needed -= least[index] + GAP
    return kept


def _header_width(header: str, most_lines: int, measure: Callable[[str], int]) -> int:
    """The least width in which a column's name has at most so many lines."""
    width = max(map(measure, header_pieces(header)))
    while len(header_lines(header, width, measure)) > most_lines:
        width += 1
    return width


def header_pieces(header: str) -> list[str]:
    """The parts of a column's name that stay in one line."""
    return [piece.rstrip(" ") for piece in _PIECES.findall(header) if piece] or [""]


def header_lines(header: str, width: int, measure: Callable[[str], int] = len) -> list[str]:
    """A column's name in lines of at most `width` characters, broken between words."""
    lines = [""]
    for piece in filter(None, _PIECES.findall(header)):
        if lines[-1] and measure((lines[-1] + piece).rstrip(" ")) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip(" ") for line in lines]


def keep_rows(count: int, room: int, keep: Literal["first", "last", "thinned"]) -> list[int]:
    """The indices of at most `room` of `count` rows. Thinned: the newest half of them, and older ones at even
    distances from the first on."""
    if count <= room:
        return list(range(count))
    room = max(room, 1)
    if keep == "first":
        return list(range(room))
    newest = room if keep == "last" else (room + 1) // 2
    older, begin = room - newest, count - newest
    return [begin * number // older for number in range(older)] + list(range(begin, count))
