"""The base class of what `miquery` shows."""

from __future__ import annotations

from abc import ABC, abstractmethod


class View(ABC):
    """Reads and prints something, once or again and again until it has ended."""

    waits = True  # whether what was shown, as long as it has not ended, needs a controller

    @abstractmethod
    def show(self) -> bool:
        """Prints it; returns whether it has ended, so that it will not change any more."""

    @abstractmethod
    def show_json(self) -> None:
        """Prints it as one JSON document."""
