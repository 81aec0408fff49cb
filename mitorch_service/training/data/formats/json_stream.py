"""Reads the lists of a large JSON file an element at a time: a parsed document takes ten times the file's memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import TextIO

_BLOCK = 1 << 20  # characters to read at a time
_SPACE = " \t\n\r"


class JsonError(ValueError):
    """Text that is not JSON, with its position in the file."""


def stream_lists(file: TextIO, keys: Collection[str]) -> Iterator[tuple[str, Iterator[object]]]:
    """Yields, in the file's order, each of `keys` that its object has, with an iterator over the list there, to be used
    before the next list. Values of other keys are skipped.

    Raises JsonError for a file that is not a JSON object, and TypeError for one of `keys` whose value is not a list.
    """
    reader = _Reader(file)
    reader.expect("{")
    more = not reader.skip_empty("}")
    while more:
        key = reader.key()
        if key not in keys:
            reader.value()
        elif reader.next() != "[":
            reader.value()
            raise TypeError(f"{key} is not a list")
        else:
            elements = reader.elements()
            yield key, elements
            for _ in elements:  # those that the caller left
                pass
        more = reader.skip_separator("}")
    if reader.next():
        raise reader.wrong("the end")


class _Reader:
    """A position in the file, and the text around it that has been read."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._place = 0  # in the text
        self._read = 0  # characters of the file before the text
        self._decode = json.JSONDecoder().raw_decode

    def next(self) -> str:
        """Moves to the next character that is not space, and returns it; empty at the end."""
        while True:
            while self._place < len(self._text):
                if self._text[self._place] not in _SPACE:
                    return self._text[self._place]
                self._place += 1
            if not self._more():
                return ""

    def expect(self, *characters: str) -> str:
        """Skips the next character, and returns it. Raises JsonError unless it is one of these."""
        found = self.next()
        if not found or found not in characters:
            raise self.wrong(" or ".join(map(repr, characters)))
        self._place += 1
        return found

    def skip_empty(self, end: str) -> bool:
        """Skips the end of an empty object or list. Returns whether it was empty."""
        empty = self.next() == end
        self._place += empty
        return empty

    def skip_separator(self, end: str) -> bool:
        """Skips a comma, or the end of the object or list. Returns whether it was a comma."""
        return self.expect(",", end) == ","

    def key(self) -> str:
        """Skips a name and its colon, and returns the name."""
        key = self.value()
        if not isinstance(key, str):
            raise self.wrong("a name in quotes")
        self.expect(":")
        return key

    def elements(self) -> Iterator[object]:
        """Yields the elements of the list that begins here."""
        self.expect("[")
        more = not self.skip_empty("]")
        while more:
            yield self.value()
            if self._text.startswith(", ", self._place):  # as most are written
                self._place += 2
            else:
                more = self.skip_separator("]")

    def value(self) -> object:
        """Skips a value, and returns it. One that reaches the end of the text may be the beginning of a longer one."""
        if self._text[self._place : self._place + 1] in _SPACE:  # or empty
            self.next()
        while True:
            try:
                value, end = self._decode(self._text, self._place)
                if end < len(self._text) or not self._more():
                    self._place = end
                    return value
            except json.JSONDecodeError as error:
                if not self._more():
                    raise JsonError(f"{error.msg} at character {self._read + error.pos}") from None

    def wrong(self, expected: str) -> JsonError:
        return JsonError(f"{expected} expected at character {self._read + self._place}")

    def _more(self) -> bool:
        """Reads the next block, doubling it while one value is longer than the text. Returns whether there was one."""
        rest = self._text[self._place :]
        block = self._file.read(max(_BLOCK, len(rest)))
        self._read += self._place
        self._text = rest + block
        self._place = 0
        return bool(block)
