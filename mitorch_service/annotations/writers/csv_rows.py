"""A CSV writer whose lines end as on Unix, and whose cells a reader gets back as they were."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Protocol

_END = "\r\n"


class _Text(Protocol):
    def write(self, text: str, /) -> object: ...


class CsvRows:
    """Writes rows to a text file opened with ``newline=""``, or to a StringIO.

    Python's writer quotes a carriage return in a cell only if its own lines end with one: with ``\\n`` at their ends, a
    name with ``\\r`` would become two rows.
    """

    def __init__(self, file: _Text, delimiter: str = ",") -> None:
        self._writer = csv.writer(_UnixEnds(file), delimiter=delimiter, lineterminator=_END)
        self.writerow = self._writer.writerow

    def writerows(self, rows: Iterable[Iterable[object]]) -> None:
        for row in rows:
            self.writerow(row)


class _UnixEnds:
    """Gets whole rows from Python's writer."""

    def __init__(self, file: _Text) -> None:
        self._file = file

    def write(self, line: str) -> object:
        return self._file.write(line.removesuffix(_END) + "\n")
