"""The events and errors of one pass; an error with one training, job or cluster does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from mitorch_service.controller.parallel_calls import call_all
from mitorch_service.controller.pass_report import Event, PassCount
from mitorch_service.errors import BackendError, MiTorchError, StoreUnavailable
from mitorch_service.models.secrets import mask_secrets

Result = TypeVar("Result")


class EventLog:
    """Collects the events of one pass."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def note(self, text: str, *counters: PassCount, amount: int = 1) -> None:
        """Records something that was done, and adds `amount` to the counters."""
        self.events.append(Event(mask_secrets(text), False, counters, amount))

    def note_failure(self, text: str, *counters: PassCount) -> None:
        """Records something that could not be done."""
        self.events.append(Event(mask_secrets(text), True, counters))

    @contextmanager
    def collect_errors(self) -> Iterator[None]:
        """Records an error of the block and continues behind it; StoreUnavailable ends the pass."""
        try:
            yield
        except StoreUnavailable:
            raise
        except MiTorchError as error:
            self.note_failure(str(error))

    def call_clusters(self, calls: Mapping[str, Callable[[], Result]], seconds: float) -> dict[str, Result]:
        """Calls all clusters in parallel; returns the results by cluster, and records the errors of the others."""
        results: dict[str, Result] = {}
        for cluster, result in call_all(calls, seconds).items():
            if isinstance(result, BackendError):
                self.note_failure(str(result))
            else:
                results[cluster] = result
        return results
