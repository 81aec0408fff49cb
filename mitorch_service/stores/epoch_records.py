"""The ids of the records of a training's epochs, whose order is that of the epochs."""

from __future__ import annotations

_DIGITS = 6


def record_id(training_id: str, epoch: int) -> str:
    """Sorts by epoch within a training, and makes (training, epoch) unique without a second index. A letter tells how
    many digits an epoch beyond the first million has: ``…:999999`` < ``…:a1000000`` < ``…:b10000000``."""
    digits = f"{epoch:0{_DIGITS}d}"
    longer = len(digits) - _DIGITS
    return f"{training_id}:{chr(ord('a') + longer - 1) if longer > 0 else ''}{digits}"


def first_id(training_id: str) -> str:
    """Sorts before all records of the training."""
    return f"{training_id}:"


def end_id(training_id: str) -> str:
    """Sorts behind all records of the training."""
    return f"{training_id};"
