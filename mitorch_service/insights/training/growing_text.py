"""The text that is added to a log, of which only the end can be read."""

from __future__ import annotations

_TORN = 3  # characters at the beginning of a window that may be parts of one
_MARK = 200  # characters by which two windows are aligned
_GAP = "… (more was printed than is read at a time)\n"


class GrowingText:
    """Compares windows, each the end of a text that grows, and returns what is new in whole lines."""

    def __init__(self) -> None:
        self._seen = ""
        self._line = ""  # the last one, which has not ended

    def add(self, window: str) -> str:
        """Returns the lines that have ended since the last window."""
        added = _behind(self._seen, window)
        self._seen = window
        text = self._line + (_GAP + window if added is None else added)
        end = max(text.rfind("\n"), text.rfind("\r")) + 1
        self._line = text[end:]
        return text[:end]

    def rest(self) -> str:
        """Returns the line that has not ended, as it is."""
        line, self._line = self._line, ""
        return line


def _behind(seen: str, window: str) -> str | None:
    """The part of the window that follows what was seen; None if there is text between them."""
    if window.startswith(seen):
        return window[len(seen) :]
    whole = window[_TORN:]  # the window begins later in the text than the one before
    at = seen.find(whole[:_MARK])
    while at >= 0:
        if whole.startswith(seen[at:]):
            return whole[len(seen) - at :]
        at = seen.find(whole[:_MARK], at + 1)
    return None
