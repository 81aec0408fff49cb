"""Calls to several clusters at the same time, so that a slow one or one that is down delays none of the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from mitorch_service.errors import BackendUnavailable

Result = TypeVar("Result")


class NoAnswer(BackendUnavailable):
    """A cluster has not answered in time."""


class ParallelCalls(Protocol):
    """The signature of `call_all`: tests/simulation has calls without threads."""

    def __call__(
        self, calls: Mapping[str, Callable[[], Result]], seconds: float, /
    ) -> dict[str, Result | Exception]: ...


def call_all(calls: Mapping[str, Callable[[], Result]], seconds: float) -> dict[str, Result | Exception]:
    """Returns each call's result, or the exception that it raised; by cluster, in the order of `calls`.

    A call that takes longer than `seconds` is abandoned and counts as NoAnswer."""
    pending = {cluster: _Call(call) for cluster, call in calls.items()}
    for cluster, call in pending.items():
        threading.Thread(target=call.run, name=f"call-{cluster}", daemon=True).start()
    end = time.monotonic() + seconds
    return {cluster: call.wait(cluster, max(0.0, end - time.monotonic()), seconds) for cluster, call in pending.items()}


class _Call(Generic[Result]):
    """One call, made in any thread."""

    def __init__(self, call: Callable[[], Result]) -> None:
        self._call = call
        self._done = threading.Event()
        self._result: list[Result] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._result.append(self._call())
        except BaseException as error:  # noqa: BLE001 - raised by `wait`
            self._error = error
        self._done.set()

    def wait(self, cluster: str, patience: float, seconds: float) -> Result | Exception:
        if not self._done.wait(patience):
            return NoAnswer(cluster, f"no answer within {seconds:g} s", "The next pass tries again.")
        if isinstance(self._error, Exception):
            return self._error
        if self._error is not None:
            raise self._error
        return self._result[0]
