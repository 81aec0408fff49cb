"""Wraps messages for a terminal, which would break its lines in the middle of words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TextIO

_HANGING = "  "  # before the lines of a message after its first
_WORD = re.compile(r"( *)([^ ]+)")
_UNIT = re.compile(r"( *)((?:mi[a-z]+ )?[^ ]+(?: --[\w-]\S*)?)")  # a command stays together with its first words


def wrapped_for(text: str, stream: TextIO) -> str:
    """The text with its lines wrapped at blanks, if the stream is a terminal."""
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return text  # a file, a pipe, or no stream at all
    return wrapped(text, width) if width else text


def wrapped(text: str, width: int) -> str:
    """The text with its lines wrapped at blanks to `width` cells, indented from the second on. A word is never broken:
    one that is too wide for that (a path, a command's argument) has a line of its own."""
    return "\n".join(_wrapped_line(line, width) if len(line) * 2 > width else line for line in text.split("\n"))


def _wrapped_line(line: str, width: int) -> str:
    from rich.cells import cell_len  # which takes milliseconds: for long lines only

    if cell_len(line) <= width:
        return line
    indent = line[: len(line) - len(line.lstrip(" "))] + _HANGING
    lines, room = [""], width
    for blanks, word in _units(line, width - len(indent)):
        size = cell_len(word)
        if len(blanks) + size <= room:
            lines[-1] += blanks + word
            room -= len(blanks) + size
            continue
        before = indent if len(indent) + size <= width else ""
        if lines[-1].strip():
            lines.append(before + word)
        else:
            lines[-1] = before + word
        room = width - len(before) - size
    return "\n".join(lines)


def _units(line: str, most: int) -> Iterator[tuple[str, str]]:
    """Each word with the blanks before it; several in one if they are a command that fits."""
    for unit in _UNIT.finditer(line):
        for word in [unit] if len(unit[2]) <= most else _WORD.finditer(unit[0]):
            yield word[1], word[2]
