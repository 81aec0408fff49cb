"""Asking several clusters at the same time, so that one that is slow or down delays nothing on the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from mitorch_service.errors import BackendError, BackendUnavailable

Result = TypeVar("Result")


def ask_all(calls: Mapping[str, Callable[[], Result]], seconds: float) -> dict[str, Result | BackendError]:
    """What each call returns, or the BackendError that it raises; by cluster, in the order of `calls`. One that takes
    longer than so many seconds is left to itself and counts as BackendUnavailable. A single call is made in this
    thread, and waited for: there is nobody whom it delays."""
    asked = {cluster: _Asked(call) for cluster, call in calls.items()}
    if len(asked) == 1:
        next(iter(asked.values())).run()
    else:
        for cluster, one in asked.items():
            threading.Thread(target=one.run, name=f"ask-{cluster}", daemon=True).start()
    end = time.monotonic() + seconds
    return {cluster: one.answer(cluster, max(0.0, end - time.monotonic()), seconds) for cluster, one in asked.items()}


class _Asked(Generic[Result]):
    """One call, made in any thread."""

    def __init__(self, call: Callable[[], Result]) -> None:
        self._call = call
        self._done = threading.Event()
        self._result: list[Result] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._result.append(self._call())
        except BaseException as error:  # noqa: BLE001 - raised where the answer is asked for
            self._error = error
        self._done.set()

    def answer(self, cluster: str, patience: float, seconds: float) -> Result | BackendError:
        if not self._done.wait(patience):
            return BackendUnavailable(cluster, f"no answer within {seconds:g} s", "The next pass asks again.")
        if isinstance(self._error, BackendError):
            return self._error
        if self._error is not None:
            raise self._error
        return self._result[0]
