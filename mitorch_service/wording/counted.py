"""Counts with their nouns, as people write them."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Returns ``1 training``, ``2 trainings``; `plural` where it is not the noun with an s."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def are(count: int) -> str:
    """Returns ``is`` for one, else ``are``."""
    return "is" if count == 1 else "are"
