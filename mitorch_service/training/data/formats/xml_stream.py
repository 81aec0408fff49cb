"""Reads XML element by element, in little memory however long the file is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, NamedTuple
from xml.parsers import expat

_BLOCK = 1 << 16  # bytes


class Event(NamedTuple):
    """The start or the end of an element."""

    line: int  # of the file, the first is 1
    tag: str
    attributes: dict[str, str] | None  # at the start; None: the end
    text: str = ""  # at the end: the characters since the last start or end


class XmlError(ValueError):
    """The file is not XML, or of a kind that data never is."""


def stream_elements(file: IO[bytes]) -> Iterator[Event]:
    """Yields every start and end. Raises XmlError with the line, also for a document type: a few lines of its entities
    can stand for gigabytes."""
    reader = _Reader()
    while block := file.read(_BLOCK):
        reader.feed(block)
        yield from reader.events()
    reader.feed(b"", last=True)
    yield from reader.events()


class _Reader:
    """Collects the events of one block at a time."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._events: list[Event] = []
        self._text: list[str] = []

    def feed(self, block: bytes, *, last: bool = False) -> None:
        try:
            self._parser.Parse(block, last)
        except (expat.ExpatError, ValueError, LookupError) as error:
            raise error if isinstance(error, XmlError) else XmlError(str(error)) from error

    def events(self) -> Iterator[Event]:
        events, self._events = self._events, []
        return iter(events)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._text.clear()
        self._events.append(Event(self._parser.CurrentLineNumber, tag, attributes))

    def _end(self, tag: str) -> None:
        self._events.append(Event(self._parser.CurrentLineNumber, tag, None, "".join(self._text)))
        self._text.clear()

    def _characters(self, text: str) -> None:
        self._text.append(text)

    def _refuse(self, *_: object) -> None:
        raise XmlError(f"line {self._parser.CurrentLineNumber}: a document type, which annotations do not have")
