"""Shows control characters of names, errors and logs instead of sending them to the terminal, which would obey them."""

from __future__ import annotations

import io
import re
import sys
from typing import TextIO, cast

from mitorch_service.cli.views.pages.wrapping import wrapped_for

# C0 and C1 controls, line separators, marks that reverse the direction of text, and halves of surrogate pairs
_CLASS = r"\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROLS = re.compile(rf"[\x00-\x1f{_CLASS}]")
_CONTROLS_IN_LINES = re.compile(rf"[\x00-\x08\x0b-\x1f{_CLASS}]")  # all but tab and newline
_CONTROLS_IN_JSON = re.compile(rf"[{_CLASS}]")  # the others are escaped by JSON itself
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def one_line(text: str) -> str:
    """Replaces every control character, line breaks too, by a visible escape such as ``\\x1b``. Idempotent."""
    return _CONTROLS.sub(_visible, text)


def several_lines(text: str) -> str:
    """The same for text of several lines: line breaks and tabs stay. A progress bar's carriage return begins a line."""
    return _CONTROLS_IN_LINES.sub(_visible, text.replace("\r\n", "\n").replace("\r", "\n"))


def json_text(text: str) -> str:
    """The same for a JSON document, which stays equal."""
    return _CONTROLS_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class EscapingStream(io.TextIOWrapper):
    """Standard output or standard error, on which control characters of whatever is printed are escaped."""

    wraps = False  # whether it has messages, which a terminal must not break within words

    def write(self, text: str) -> int:
        shown = _CONTROLS_IN_LINES.sub(_visible, text)
        super().write(wrapped_for(shown, self) if self.wraps else shown)
        return len(text)

    def write_raw(self, text: str) -> None:
        """Writes text that may control the terminal: that of rich, and what a person has asked for as it is."""
        super().write(text)


def escape_output() -> None:
    """Lets no control character of what this process prints reach the terminal, but those of `raw_stream`. Messages
    are wrapped, but for the code in a traceback."""
    sys.stdout = _escaping(sys.stdout)
    sys.stderr = _escaping(sys.stderr)
    if isinstance(sys.stderr, EscapingStream):
        sys.stderr.wraps = "--debug" not in sys.argv


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


def _visible(found: re.Match[str]) -> str:
    character = found[0]
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
