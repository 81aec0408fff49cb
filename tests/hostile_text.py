"""Text that a terminal, a log or a page would obey: escape sequences, reversed direction, breaks of lines."""

from __future__ import annotations

import re

MARK = "Zinjected"  # begins a line if a line break was obeyed
HOSTILE = f"evil \x1b[31m\x1b]0;t\x07\x1b]52;c;QQ==\x07\x1b]8;;http://e\x1b\\\x9b2J\x9d0;t\x9c\u202e\u2066\n{MARK}\r{MARK}\x7f\u2028"
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def assert_not_obeyed(text: str) -> None:
    """The hostile text is there, and none of it would be obeyed."""
    assert MARK in text
    found = OBEYED.search(text)
    assert found is None, ascii(text[max(0, found.start() - 60) : found.end() + 60])
    assert not [line for line in text.splitlines() if line.startswith(MARK)], text
