"""Standard output and standard error on which control characters of names, errors and logs are shown."""

from __future__ import annotations

import io
import sys
from typing import TextIO, cast

from mitorch_service.cli.views.pages.wrapping import wrapped_for
from mitorch_service.wording.control_characters import json_text, one_line, several_lines, shown

__all__ = ["EscapingStream", "escape_output", "json_text", "one_line", "raw_stream", "several_lines"]


class EscapingStream(io.TextIOWrapper):
    """Standard output or standard error, on which control characters of whatever is printed are escaped."""

    wraps = False  # whether it has messages, which a terminal must not break within words
    has_bars = False  # whether libraries draw progress bars on it, which begin with a carriage return

    def write(self, text: str) -> int:
        escaped = shown(text, self.has_bars)
        super().write(wrapped_for(escaped, self) if self.wraps else escaped)
        return len(text)

    def write_raw(self, text: str) -> None:
        """Writes text that may control the terminal: that of rich, and what a person has asked for as it is."""
        super().write(text)


def escape_output(bars: bool = False) -> None:
    """Lets no control character of what this process prints reach the terminal, but those of `raw_stream`. Messages
    are wrapped, but for the code in a traceback. `bars`: libraries draw progress bars on standard error, when they
    download weights."""
    sys.stdout = _escaping(sys.stdout)
    sys.stderr = _escaping(sys.stderr)
    if isinstance(sys.stderr, EscapingStream):
        sys.stderr.wraps = "--debug" not in sys.argv and not bars
        sys.stderr.has_bars = bars


def raw_stream(stream: TextIO) -> TextIO:
    """The stream for rich, which draws by control characters and is given escaped text."""
    return cast(TextIO, _Raw(stream)) if isinstance(stream, EscapingStream) else stream


class _Raw(io.TextIOBase):
    """Writes past the escapes."""

    def __init__(self, stream: EscapingStream) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write_raw(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


def _escaping(stream: TextIO) -> TextIO:
    if type(stream) is not io.TextIOWrapper:
        return stream  # a test's, or there is none
    stream.flush()
    return EscapingStream(
        open(stream.fileno(), "wb", closefd=False),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
