"""Renews the lease of a message from a thread of its own, until it is settled."""

from __future__ import annotations

import threading
from collections.abc import Callable

from mitorch_service.interop.vott.queues.base import HeldMessage, LeaseLost, QueueError


class LeaseRenewal:
    """Renews while its context is open. A queue that does not answer is asked again; a lease that is lost is not."""

    def __init__(self, held: HeldMessage, every: float, tell: Callable[[str], object]) -> None:
        """`every`: seconds between two renewals."""
        self._held = held
        self._every = every
        self._tell = tell
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="lease", daemon=True)
        self.is_lost = False

    def __enter__(self) -> LeaseRenewal:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=60)

    def _work(self) -> None:
        failed = False
        while not self._stop.wait(self._every):
            try:
                if not self._held.renew():
                    return
                failed = False
            except LeaseLost:
                self.is_lost = True
                self._tell(
                    f"message {self._held.id}: its lease was lost; another consumer may take it, which does no harm"
                )
                return
            except QueueError as error:
                if not failed:
                    self._tell(f"message {self._held.id}: its lease was not renewed: {error}")
                failed = True
