"""The events and errors of one pass; an error with one training, job or cluster does not stop the others."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from mitorch_service.controller.parallel_calls import call_all
from mitorch_service.controller.pass_report import Event, PassCount
from mitorch_service.errors import MiTorchError, StoreUnavailable
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

    def note_fault(self, step: str, error: Exception) -> None:
        """Records an error that nobody foresaw, with its traceback. `step`: what it ended."""
        trace = mask_secrets("".join(traceback.format_exception(error)))
        words = mask_secrets(f"{step}: {type(error).__name__}: {error}. This is a bug of mitorch-service: report it")
        self.events.append(Event(words, True, trace=trace))

    @contextmanager
    def collect_errors(self, step: str) -> Iterator[None]:
        """Records an error of the block, of any kind, and continues behind it; StoreUnavailable ends the pass."""
        try:
            yield
        except StoreUnavailable:
            raise
        except MiTorchError as error:
            self.note_failure(str(error))
        except Exception as error:  # noqa: BLE001 - a fault with one document must not stop the others
            self.note_fault(step, error)

    def call_clusters(self, calls: Mapping[str, Callable[[], Result]], seconds: float) -> dict[str, Result]:
        """Calls all clusters in parallel; returns the results by cluster, and records the errors of the others."""
        results: dict[str, Result] = {}
        for cluster, result in call_all(calls, seconds).items():
            if isinstance(result, StoreUnavailable):
                raise result
            if isinstance(result, MiTorchError):
                self.note_failure(str(result))
            elif isinstance(result, Exception):
                self.note_fault(f"cluster {cluster}", result)
            else:
                results[cluster] = result
        return results
