"""Counts and tells what lies in a data set's folders or files and is not read."""

from __future__ import annotations

import logging
from collections import Counter

from mitorch_service.wording.control_characters import one_line

log = logging.getLogger("mitorch")

HIDDEN = "hidden"
NO_IMAGE = "not the extension of an image"


class LeftOut:
    """Counts what is left out, by reason."""

    def __init__(self, name: str) -> None:
        """`name` is what messages call the data set."""
        self._name = name
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, reason: str, what: str) -> None:
        """Counts one."""
        self._counts[reason] += 1
        self._first.setdefault(reason, what)

    def log(self) -> None:
        """Logs one line for each reason."""
        for reason, count in self._counts.items():
            log.warning(
                "%s: %d left out (%s); the first is %s", self._name, count, reason, one_line(self._first[reason])
            )
