"""The base class of what `miquery` shows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from mitorch_service.cli.views.pages.output import show_page, stream_json
from mitorch_service.cli.views.pages.page import Page


class View(ABC):
    """Reads something, once or again and again until it has ended."""

    waits = True  # whether what was shown, as long as it has not ended, needs a controller

    @abstractmethod
    def read(self) -> Page:
        """Reads what a person is shown."""

    @abstractmethod
    def fields(self) -> Iterable[tuple[str, object]]:
        """Reads the fields of the JSON document; a list may be an iterator, which is printed as it is read."""

    @abstractmethod
    def has_ended(self) -> bool:
        """Whether it will not change any more."""

    def show(self) -> None:
        """Prints it for a person."""
        show_page(self.read())

    def show_json(self) -> None:
        """Prints it as one JSON document."""
        stream_json(self.fields())
