"""The parts of what a command shows: fields, tables and lines. How they are drawn is decided by what they are for: a
pipe (`plain.py`) or a terminal (`terminal.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Literal

from mitorch_service.cli.views.pages.escapes import one_line
from mitorch_service.models.secrets import mask_secrets

_LEAST_TEXT = 12  # characters to which a column of text may be cut, unless it says otherwise
_NUMBERS = (int, float, datetime, Enum, type(None))  # never cut: half a number is another number


@dataclass(frozen=True)
class Column:
    """A column of a table, and what becomes of it where there is not enough room."""

    name: str
    rank: int = 0  # 0: always shown; of the others the highest is left out first
    cut: int | None = None  # the least width to which text is cut by an ellipsis; None: it never is
    wraps: bool = False  # its text goes on in the next line
    keeps_end: bool = False  # a path, or a name with its value, is cut at its beginning


@dataclass(frozen=True)
class Table:
    """Rows under named columns."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[object]]
    # Which rows a screen shows that is too low for all: the first, the last, or the last and some of those before.
    keep: Literal["first", "last", "thinned"] = "first"
    most: int | None = None  # rows on such a screen; None: what is left by the others

    @classmethod
    def of(cls, title: str, names: Sequence[str | Column], rows: Sequence[Sequence[object]]) -> Table:
        """A table of which the first columns matter most, where they do not say otherwise."""
        columns = [
            one if isinstance(one, Column) else Column(one, number, _LEAST_TEXT) for number, one in enumerate(names)
        ]
        return cls(title, columns, rows)

    def headers(self) -> list[str]:
        """The names of the columns; of times with their zone."""
        timed = {index for row in self.rows for index, cell in enumerate(row) if isinstance(cell, datetime)}
        return [one_line(column.name) + (" UTC" if index in timed else "") for index, column in enumerate(self.columns)]

    def cells(self) -> list[list[str]]:
        """The rows as text, credentials masked, control characters escaped."""
        return [[cell_text(cell) for cell in row] for row in self.rows]

    def is_text(self, index: int) -> bool:
        """Whether a column holds text, which may be cut."""
        return any(not isinstance(row[index], _NUMBERS) for row in self.rows)


@dataclass(frozen=True)
class Fields:
    """Names and values, one below the other; those without a value are left out."""

    fields: Sequence[tuple[str, object]]

    def shown(self) -> list[tuple[str, str]]:
        """The names and values as text, credentials masked, control characters escaped."""
        named = [(one_line(name), one_line(mask_secrets(text(value)))) for name, value in self.fields]
        return [(name, value) for name, value in named if value != "-"]


@dataclass(frozen=True)
class Lines:
    """Lines of text, credentials masked, control characters escaped."""

    lines: Sequence[str]
    to_errors: bool = False  # on standard error where it is no terminal

    def shown(self) -> list[str]:
        return [one_line(mask_secrets(line)) for line in self.lines]


Block = Table | Fields | Lines


@dataclass(frozen=True)
class Page:
    """The content of a view at one moment."""

    blocks: Sequence[Block] = field(default_factory=tuple)
    has_ended: bool = False  # it will not change any more


def text(value: object) -> str:
    """Formats a value: four significant digits, times in UTC to the second, `-` for nothing."""
    return f"{cell_text(value)} UTC" if isinstance(value, datetime) else cell_text(value)


def cell_text(value: object) -> str:
    """The same for a column, whose name says the zone of times."""
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, dict):
        return " ".join(f"{one_line(str(name))}={text(item)}" for name, item in value.items()) or "-"
    if isinstance(value, list | tuple):
        return " ".join(map(text, value)) or "-"
    return one_line(mask_secrets(str(value)))
