"""A queue of Azure Service Bus. Messages that are rejected go to its dead-letter queue, in one step."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusClient, ServiceBusReceivedMessage, ServiceBusReceiver
from azure.servicebus.exceptions import (
    MessageAlreadySettled,
    MessageLockLostError,
    MessageNotFoundError,
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
)

from mitorch_service.interop.vott.queues.base import HeldMessage, LeaseLost, MessageQueue, QueueError, QueueUnavailable
from mitorch_service.models.secrets import mask_secrets

_HOST = ".servicebus.windows.net"
_WAIT_SECONDS = 5.0
_OPTIONS: dict[str, Any] = {"retry_total": 2, "retry_backoff_max": 10}
_MOST_REASON = 4000  # characters of a dead letter's property
_LOST = (MessageLockLostError, MessageAlreadySettled, MessageNotFoundError)
_REFUSED = (
    MessagingEntityNotFoundError,
    MessagingEntityDisabledError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
)
_REMEDY = (
    "Check AZURE_SERVICE_BUS_NAMESPACE, AZURE_SERVICE_BUS_QUEUE_NAME and the key, which needs the right to listen; "
    "the queue must exist, without sessions"
)


class ServiceBusQueue(MessageQueue):
    """Messages are locked for as long as the queue says (30 s, unless told otherwise), and as long as they are
    renewed."""

    def __init__(self, namespace: str, key_name: str, key: str, queue: str, *, count: int, **transport: Any) -> None:
        """`namespace`: its name, or its whole host; `transport`: further arguments of the SDK's client. Connects with
        the first call."""
        host = namespace if "." in namespace or ":" in namespace else f"{namespace}{_HOST}"
        self.name = f"{host}/{queue}"
        self.aside = "its dead-letter queue"
        self._count = count
        self._calls = threading.Lock()  # the SDK's receiver is for one thread at a time
        with _told(self.name):
            credential = AzureNamedKeyCredential(key_name, key)
            self._client = ServiceBusClient(host, credential, **{**_OPTIONS, **transport})
            self._receiver: ServiceBusReceiver = self._client.get_queue_receiver(queue)

    def receive(self) -> list[HeldMessage]:
        with self._calls, _told(self.name):
            found = self._receiver.receive_messages(max_message_count=self._count, max_wait_time=_WAIT_SECONDS)
            return [_BusMessage(self, one) for one in found]

    @contextmanager
    def receiver(self) -> Iterator[ServiceBusReceiver]:
        """The SDK's receiver, for one call. Raises LeaseLost, QueueUnavailable, QueueError for its errors."""
        with self._calls, _told(self.name):
            yield self._receiver

    def close(self) -> None:
        with self.receiver() as receiver:
            receiver.close()
            self._client.close()


class _BusMessage(HeldMessage):
    def __init__(self, queue: ServiceBusQueue, message: ServiceBusReceivedMessage) -> None:
        id = message.message_id or str(message.sequence_number)
        super().__init__(str(id), _body(message), int(message.delivery_count or 0) + 1)
        self._queue = queue
        self._message = message

    def _renew(self) -> None:
        with self._queue.receiver() as receiver:
            receiver.renew_message_lock(self._message)

    def _complete(self) -> None:
        with self._queue.receiver() as receiver:
            receiver.complete_message(self._message)

    def _release(self, seconds: float) -> None:
        """Service Bus knows no delay: a message that is abandoned is delivered at once, and one that is not settled
        when its lock ends."""
        if seconds == 0:
            with self._queue.receiver() as receiver:
                receiver.abandon_message(self._message)

    def _reject(self, reason: str) -> None:
        with self._queue.receiver() as receiver:
            receiver.dead_letter_message(
                self._message, reason="it cannot become a training", error_description=reason[:_MOST_REASON]
            )


def _body(message: ServiceBusReceivedMessage) -> bytes:
    """The content as bytes: of a binary message its sections, of a value its text."""
    body = message.body
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    try:
        return b"".join(bytes(section) for section in body)
    except (TypeError, ValueError):
        return str(body).encode()


@contextmanager
def _told(queue: str) -> Iterator[None]:
    try:
        yield
    except _LOST as error:
        raise LeaseLost(type(error).__name__) from error
    except _REFUSED as error:
        raise QueueError(queue, _first_line(error), _REMEDY) from error
    except AzureError as error:  # all of the SDK's errors
        raise QueueUnavailable(queue, f"cannot be reached ({_first_line(error)})", "It is tried again") from error
    except ValueError as error:
        raise QueueError(queue, _first_line(error), _REMEDY) from error


def _first_line(error: BaseException) -> str:
    return mask_secrets((str(error) or type(error).__name__).splitlines()[0])
