"""Counts and tells the shapes of which a data set keeps the box around them."""

from __future__ import annotations

import logging
from collections import Counter

log = logging.getLogger("mitorch")


class EnclosingBoxes:
    """Counts shapes by their kind."""

    def __init__(self, name: str) -> None:
        """`name` is what messages call the data set."""
        self._name = name
        self._counts: Counter[str] = Counter()

    def add(self, kind: str, count: int = 1) -> None:
        """Counts shapes of a kind, named in the plural."""
        self._counts[kind] += count

    def log(self) -> None:
        """Logs one line for all."""
        if self._counts:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self._counts.items()))
            log.warning("%s: shapes that became the boxes around them: %s", self._name, kinds)
