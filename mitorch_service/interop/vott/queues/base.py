"""The contract of a queue, and of a message that was taken from it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from mitorch_service.errors import MiTorchError


class QueueError(MiTorchError):
    """A queue refused an operation; repeating it would not help."""

    def __init__(self, queue: str, problem: str, remedy: str) -> None:
        super().__init__(f"Queue {queue}: {problem}. {remedy}")


class QueueUnavailable(QueueError):
    """A queue cannot be reached now; the same call may succeed later."""


class LeaseLost(Exception):
    """The message is no longer this consumer's: its lease ran out, and another one may have it."""


class HeldMessage(ABC):
    """A message that no other consumer gets as long as it is renewed. It is settled once, and from then on no renewal
    reaches the queue: whoever renews and whoever settles may be different threads."""

    def __init__(self, id: str, body: bytes, deliveries: int) -> None:
        """`deliveries`: how often the message was taken, with this time."""
        self.id = id
        self.body = body
        self.deliveries = deliveries
        self._lock = threading.Lock()
        self._settled = False

    def renew(self) -> bool:
        """Prolongs the lease; False once the message is settled. Raises LeaseLost, QueueUnavailable."""
        with self._lock:
            if self._settled:
                return False
            self._renew()
            return True

    def complete(self) -> None:
        """Deletes the message. Raises LeaseLost, QueueUnavailable, QueueError."""
        with self._lock:
            self._complete()
            self._settled = True

    def release(self, seconds: float) -> None:
        """Gives the message back, for whoever comes after some seconds. Raises LeaseLost, QueueUnavailable,
        QueueError."""
        with self._lock:
            self._settled = True
            self._release(seconds)

    def reject(self, reason: str) -> None:
        """Puts the message aside with the reason, where people find it, and deletes it here. Killed in between, it may
        be aside twice, but is never lost. Raises LeaseLost, QueueUnavailable, QueueError."""
        with self._lock:
            self._reject(reason)
            self._settled = True

    @abstractmethod
    def _renew(self) -> None: ...

    @abstractmethod
    def _complete(self) -> None: ...

    @abstractmethod
    def _release(self, seconds: float) -> None: ...

    @abstractmethod
    def _reject(self, reason: str) -> None: ...


class MessageQueue(ABC):
    """A queue of messages, each of which is delivered at least once."""

    name: str  # host and queue, without credentials
    aside: str  # where rejected messages go

    @abstractmethod
    def receive(self) -> list[HeldMessage]:
        """Takes the next messages; none if there are none now. Raises QueueUnavailable, QueueError."""

    @abstractmethod
    def close(self) -> None:
        """Gives the connection back."""
