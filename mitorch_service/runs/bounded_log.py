"""Logs of bounded size: their beginning and their end are kept. Control characters of names and errors are shown."""

from __future__ import annotations

import logging
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

from mitorch_service.wording.control_characters import log_text

LOG_LIMIT = 20_000_000  # bytes
OF_SCRIPT = {"of_script": True}  # `extra` of a record that is a line of a script's output: it stays as it is
_FORMAT = "%(asctime)s %(message)s"
_TAIL_BYTES = 65536
_LONGEST_LINE = 1024


class _Formatter(logging.Formatter):
    """Shows the control characters of a message, and indents its further lines: whoever prints the log without
    `micontrol logs` gets no escape sequence of a name, and a line break in one forges no record."""

    def __init__(self) -> None:
        super().__init__(_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if getattr(record, "of_script", False) else log_text(text)


class BoundedLog(logging.Handler):
    """Writes records to a file. Beyond `limit` bytes the middle is left out: the first quarter of the limit stays, and
    at least the last one."""

    def __init__(self, path: Path, limit: int = LOG_LIMIT) -> None:
        super().__init__()
        self.setFormatter(_Formatter())
        self.limit = limit
        self._file = path.open("w+b")
        self._left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._file.write(self.format(record).encode("utf-8", "replace") + b"\n")
            self._file.flush()
            if self._file.tell() > self.limit:
                self._left_out = leave_out_middle(self._file, self.limit, self._left_out)
        except Exception:  # noqa: BLE001 - as every handler does
            self.handleError(record)

    def close(self) -> None:
        self._file.close()
        super().close()


class BoundedOutput(logging.StreamHandler):  # type: ignore[type-arg]  # it is generic for type checkers only
    """Writes records to standard output. If that is a file, which a local run's is, the same holds for it."""

    def __init__(self, limit: int = LOG_LIMIT) -> None:
        super().__init__(sys.stdout)
        self.setFormatter(_Formatter())
        self._limit = limit
        self._left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        try:
            status = os.fstat(self.stream.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size > self._limit:
                with Path(f"/proc/self/fd/{self.stream.fileno()}").open("r+b") as file:
                    self._left_out = leave_out_middle(file, self._limit, self._left_out)
        except (OSError, ValueError):
            return  # not on Linux, or closed: it grows


def leave_out_middle(file: BinaryIO, limit: int, before: int = 0) -> int:
    """Shortens the file, whole lines, to about half of `limit` bytes; returns how many it lacks in all, `before`
    included."""
    part = limit // 4
    size = file.seek(0, os.SEEK_END)
    file.seek(part)
    file.readline(_LONGEST_LINE)  # to the end of a line
    head = file.tell()
    file.seek(max(head, size - part))
    if file.tell() > head:
        file.readline(_LONGEST_LINE)
    tail = file.read()
    left_out = before + size - head - len(tail)
    file.seek(head)
    file.write(f"… {left_out} bytes are left out here: a log keeps {limit} (log_limit) …\n".encode() + tail)
    file.truncate()
    file.flush()
    return left_out


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a log of any size. Raises OSError."""
    with path.open("rb") as file:
        start = max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES)
        file.seek(start)
        lines = file.read().decode("utf-8", "replace").splitlines()
    return lines[1 if start else 0 :][-count:]
