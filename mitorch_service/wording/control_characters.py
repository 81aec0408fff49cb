"""Shows control characters of names, errors and logs instead of passing them on: a terminal would obey them. Pure."""

from __future__ import annotations

import re

# C0 and C1 controls, line separators, marks that reverse the direction of text, and halves of surrogate pairs
_CLASS = r"\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROLS = re.compile(rf"[\x00-\x1f{_CLASS}]")
_CONTROLS_IN_LINES = re.compile(rf"[\x00-\x08\x0b-\x1f{_CLASS}]")  # all but tab and newline
_CONTROLS_BESIDE_BARS = re.compile(rf"[\x00-\x08\x0b\x0c\x0e-\x1f{_CLASS}]")  # and carriage return
_CONTROLS_IN_JSON = re.compile(rf"[{_CLASS}]")  # the others are escaped by JSON itself
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def one_line(text: str) -> str:
    """Replaces every control character, line breaks too, by a visible escape such as ``\\x1b``. Idempotent."""
    return _CONTROLS.sub(_visible, text)


def several_lines(text: str) -> str:
    """The same for text of several lines: line breaks and tabs stay. A progress bar's carriage return begins a line."""
    return shown(text.replace("\r\n", "\n").replace("\r", "\n"))


def hanging(text: str) -> str:
    """The text with all lines but the first indented: a line break in a name cannot begin a message of its own."""
    first, *others = text.split("\n")
    return "\n".join([first, *(line if line.startswith("  ") else f"  {line}" for line in others)])


def log_text(text: str) -> str:
    """A message for a log: control characters shown, and no line but the first looks like a record of its own."""
    return hanging(shown(text))


def shown(text: str, bars: bool = False) -> str:
    """The same for a part of an output. `bars`: carriage returns stay, with which a progress bar is drawn."""
    return (_CONTROLS_BESIDE_BARS if bars else _CONTROLS_IN_LINES).sub(_visible, text)


def json_text(text: str) -> str:
    """The same for a JSON document, which stays equal."""
    return _CONTROLS_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _visible(found: re.Match[str]) -> str:
    character = found[0]
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
