"""Delivers all callbacks that are due, in threads: a receiver that hangs delays no other, and no training."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from mitorch_service.errors import MiTorchError
from mitorch_service.interop.vott.outgoing.delivery import Delivery, LeaseEnded
from mitorch_service.models.callback import Callback
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.stores.base import Store

_THREADS = 8
_AT_ONCE = 200  # callbacks that one look takes


class Deliveries:
    """The deliveries of this process. Use it as a context: at its end, what has begun is waited for."""

    def __init__(self, store: Store, delivery: Delivery, tell: Callable[[str], object]) -> None:
        self._store = store
        self._delivery = delivery
        self._tell = tell
        self._pool = ThreadPoolExecutor(_THREADS, "callbacks")
        self._busy: dict[str, Future[None]] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Deliveries:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def begin_due(self) -> int:
        """Begins what is due and not being delivered; returns how many. Raises StoreUnavailable, StoreError."""
        due = self._store.callbacks.due_callbacks(self._store.now(), _AT_ONCE)
        with self._lock:
            new = [callback for callback in due if callback.id not in self._busy]
            for callback in new:
                self._busy[callback.id] = self._pool.submit(self._deliver, callback)
        return len(new)

    def finish_due(self) -> None:
        """Delivers until nothing is due: for a consumer that ends. Raises StoreUnavailable, StoreError."""
        while self.begin_due():
            with self._lock:
                begun = list(self._busy.values())
            for future in begun:
                future.result()

    def _deliver(self, callback: Callback) -> None:
        try:
            self._delivery.deliver(callback)
        except LeaseEnded:
            pass  # it took too long; another process goes on
        except MiTorchError as error:
            self._tell(f"training {callback.id[:8]}: {mask_secrets(str(error))}")
        except Exception as error:  # noqa: BLE001 - a fault of ours in one delivery must not end the others
            self._tell(
                f"training {callback.id[:8]}: {type(error).__name__}: {mask_secrets(str(error))} (a fault of ours)"
            )
        finally:
            with self._lock:
                self._busy.pop(callback.id, None)
