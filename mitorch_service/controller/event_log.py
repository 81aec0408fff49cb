"""The events and errors of one pass; an error with one training, job or cluster does not stop the others, and a cluster
that does not answer in time is asked no more in it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from mitorch_service.controller.parallel_calls import NoAnswer, ParallelCalls, call_all
from mitorch_service.controller.pass_report import Event, PassCount
from mitorch_service.errors import DATABASE_TROUBLE, MiTorchError
from mitorch_service.models.secrets import mask_secrets

Result = TypeVar("Result")


class EventLog:
    """Collects the events of one pass."""

    def __init__(self, call_all: ParallelCalls = call_all) -> None:
        self.events: list[Event] = []
        self._call_all = call_all
        self._silent: set[str] = set()  # clusters that have let a call of this pass wait for too long

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

    def is_silent(self, cluster: str) -> bool:
        """Whether the cluster has let a call of this pass wait for too long."""
        return cluster in self._silent

    @contextmanager
    def collect_errors(self, step: str) -> Iterator[None]:
        """Records an error of the block, of any kind, and continues behind it; a database that takes nothing ends the
        pass."""
        try:
            yield
        except DATABASE_TROUBLE:
            raise
        except MiTorchError as error:
            self.note_failure(str(error))
        except Exception as error:  # noqa: BLE001 - a fault with one document must not stop the others
            self.note_fault(step, error)

    def call_clusters(self, calls: Mapping[str, Callable[[], Result]], seconds: float) -> dict[str, Result]:
        """Calls all clusters in parallel; returns the results by cluster, and records the errors of the others.
        Clusters that are `silent` are not called: each would hold up the pass again."""
        results: dict[str, Result] = {}
        open_calls = {cluster: call for cluster, call in calls.items() if cluster not in self._silent}
        for cluster, result in self._call_all(open_calls, seconds).items():
            if isinstance(result, NoAnswer):
                self._silent.add(cluster)
            if isinstance(result, DATABASE_TROUBLE):
                raise result
            if isinstance(result, MiTorchError):
                self.note_failure(str(result))
            elif isinstance(result, Exception):
                self.note_fault(f"cluster {cluster}", result)
            else:
                results[cluster] = result
        return results
