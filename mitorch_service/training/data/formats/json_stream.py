"""The lists of a large JSON file, an element at a time: a parsed document takes ten times the file's memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any, TextIO

_BLOCK = 1 << 20  # characters that are read at a time
_SPACE = " \t\n\r"


class JsonError(ValueError):
    """What is no JSON, with the place in the file."""


def stream_lists(file: TextIO, keys: Collection[str]) -> Iterator[tuple[str, Iterator[Any]]]:
    """Of the object in the file: each of the lists under `keys`, in the file's order, with an iterator over its
    elements, to be used before the next list. What is under other keys is read and left out.

    Raises JsonError for what is no JSON object, and TypeError where one of the keys has no list.
    """
    reader = _Reader(file)
    reader.expect("{")
    goes_on = not reader.ends("}")
    while goes_on:
        key = reader.key()
        if key not in keys:
            reader.value()
        elif reader.next() != "[":
            reader.value()
            raise TypeError(f"{key} is no list")
        else:
            elements = reader.elements()
            yield key, elements
            for _ in elements:
                pass
        goes_on = reader.goes_on("}")
    if reader.next():
        raise reader.wrong("the end")


class _Reader:
    """A place in the file, and the text from there on, as far as it is read."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._place, self._read = file, "", 0, 0
        self._decode = json.JSONDecoder().raw_decode

    def next(self) -> str:
        """The next character that is not space, where the place then is; empty at the end."""
        while True:
            while self._place < len(self._text):
                if self._text[self._place] not in _SPACE:
                    return self._text[self._place]
                self._place += 1
            if not self._more():
                return ""

    def expect(self, *characters: str) -> str:
        """Goes on behind the next character, which is one of these."""
        found = self.next()
        if not found or found not in characters:
            raise self.wrong(" or ".join(map(repr, characters)))
        self._place += 1
        return found

    def ends(self, end: str) -> bool:
        """Whether an object or list ends where it begins; then goes on behind it."""
        empty = self.next() == end
        self._place += empty
        return empty

    def goes_on(self, end: str) -> bool:
        """Goes on behind a comma, or behind the end."""
        return self.expect(",", end) == ","

    def key(self) -> str:
        """The name before a colon."""
        key = self.value()
        if not isinstance(key, str):
            raise self.wrong("a name in quotes")
        self.expect(":")
        return key

    def elements(self) -> Iterator[Any]:
        """Of the list that begins here."""
        self.expect("[")
        goes_on = not self.ends("]")
        while goes_on:
            yield self.value()
            if self._text.startswith(", ", self._place):  # as most are written
                self._place += 2
            else:
                goes_on = self.goes_on("]")

    def value(self) -> Any:
        """Any value. One that reaches the end of what is read may be the beginning of a longer one."""
        if self._text[self._place : self._place + 1] in _SPACE:  # or nothing
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
        """Reads on, twice as much if a single value is longer than what was read."""
        rest = self._text[self._place :]
        block = self._file.read(max(_BLOCK, len(rest)))
        self._read += self._place
        self._text, self._place = rest + block, 0
        return bool(block)
