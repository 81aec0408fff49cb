"""What a pass tells of what it does and what goes wrong; nothing that goes wrong with one thing stops the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from mitorch_service.controller.parallel_calls import ask_all
from mitorch_service.controller.pass_report import Counted, Event
from mitorch_service.errors import (
    BackendError,
    MiTorchError,
    StoreUnavailable,
)
from mitorch_service.models.secrets import mask_secrets

Answer = TypeVar("Answer")


class EventLog:
    """The events of one pass."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def note(self, text: str, *counted: Counted, number: int = 1, failed: bool = False) -> None:
        self.events.append(Event(mask_secrets(text), failed, counted, number))

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """What goes wrong here is told, and stops nothing else; but without its database a pass is over."""
        try:
            yield
        except StoreUnavailable:
            raise
        except MiTorchError as error:
            self.note(str(error), failed=True)

    def answers(self, calls: Mapping[str, Callable[[], Answer]], seconds: float) -> dict[str, Answer]:
        """The answers of the clusters that gave one; a cluster that is down delays nothing on the others."""
        answers: dict[str, Answer] = {}
        for cluster, answer in ask_all(calls, seconds).items():
            if isinstance(answer, BackendError):
                self.note(str(answer), failed=True)
            else:
                answers[cluster] = answer
        return answers
