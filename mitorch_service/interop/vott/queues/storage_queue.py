"""A queue of Azure Storage. Messages that are rejected go to the queue ``NAME-poison``."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.storage.queue import ExponentialRetry, QueueClient, QueueMessage, QueueServiceClient

from mitorch_service.interop.vott.queues.base import HeldMessage, LeaseLost, MessageQueue, QueueError, QueueUnavailable
from mitorch_service.models.secrets import mask_secrets

_MOST = 65_536  # bytes of a message
_FOREVER = -1  # seconds that a rejected message stays
_LOST = ("MessageNotFound", "PopReceiptMismatch")
_REMEDY = "Check AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_KEY, and this machine's clock"


class StorageQueue(MessageQueue):
    """Messages are invisible to others for `lease_seconds` after they were taken or renewed."""

    def __init__(self, service: QueueServiceClient, queue: str, *, count: int, lease_seconds: int) -> None:
        """`count`: messages that are taken at a time, at most 32. Creates the queues if they are missing. Raises
        QueueUnavailable, QueueError."""
        self.name = f"{service.primary_hostname}/{queue}"
        self.aside = f"{queue}-poison"
        self._count = count
        self._lease_seconds = lease_seconds
        with _told(self.name):
            self._queue: QueueClient = service.get_queue_client(queue)
            self._poison: QueueClient = service.get_queue_client(self.aside)
            for client in (self._queue, self._poison):
                try:
                    client.create_queue()
                except ResourceExistsError:
                    continue

    @classmethod
    def of_account(cls, account: str, key: str, queue: str, **options: Any) -> StorageQueue:
        """The queue of an account in Azure."""
        url = f"https://{account}.queue.core.windows.net"
        credential = {"account_name": account, "account_key": key}
        with _told(f"{account}/{queue}"):
            if not re.fullmatch(r"[a-z0-9]{3,24}", account):
                raise ValueError(f"{account!r:.60} is not the name of a storage account")
            base64.b64decode(key, validate=True)
            service = QueueServiceClient(url, credential, **_options())
        return cls(service, queue, **options)

    @classmethod
    def of_connection_string(cls, text: str, queue: str, **options: Any) -> StorageQueue:
        """The queue of a connection string, such as that of an emulator."""
        with _told(queue):
            service = QueueServiceClient.from_connection_string(text, **_options())
        return cls(service, queue, **options)

    def receive(self) -> list[HeldMessage]:
        with _told(self.name):
            found = self._queue.receive_messages(
                max_messages=self._count,
                visibility_timeout=self._lease_seconds,
                messages_per_page=self._count,
            )
            return [_StorageMessage(self, one) for one in found]

    def close(self) -> None:
        self._queue.close()
        self._poison.close()

    def renew(self, message: QueueMessage, seconds: int) -> QueueMessage:
        """Returns the message with the receipt that is now needed to delete it."""
        with _told(self.name):
            return self._queue.update_message(message, visibility_timeout=seconds)

    def delete(self, message: QueueMessage) -> None:
        """Deletes a message by its last receipt."""
        with _told(self.name):
            self._queue.delete_message(message)

    def put_aside(self, id: str, body: bytes, deliveries: int, reason: str) -> None:
        """Sends a message to the other queue: with the reason, or as it was if both are too long."""
        text = body.decode("utf-8", "replace")
        envelope = {
            "reason": reason,
            "queue": self.name,
            "message_id": id,
            "deliveries": deliveries,
            "rejected_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "message": text,
        }
        whole = json.dumps(envelope, ensure_ascii=False)
        with _told(self.name):
            self._poison.send_message(whole if len(whole.encode()) <= _MOST else text, time_to_live=_FOREVER)


class _StorageMessage(HeldMessage):
    def __init__(self, queue: StorageQueue, message: QueueMessage) -> None:
        content = message.content
        body = content if isinstance(content, bytes) else str(content).encode()
        super().__init__(str(message.id), body, int(message.dequeue_count or 1))
        self._queue = queue
        self._message = message

    def _renew(self) -> None:
        self._message = self._queue.renew(self._message, self._queue._lease_seconds)

    def _complete(self) -> None:
        self._queue.delete(self._message)

    def _release(self, seconds: float) -> None:
        self._queue.renew(self._message, round(seconds))

    def _reject(self, reason: str) -> None:
        self._queue.put_aside(self.id, self.body, self.deliveries, reason)
        self._queue.delete(self._message)


def _options() -> dict[str, Any]:
    """Timeouts, and retries that a person can wait for: the SDK's own go on for more than a minute."""
    retry = ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=3, random_jitter_range=1)
    return {"retry_policy": retry, "connection_timeout": 20, "read_timeout": 60}


@contextmanager
def _told(queue: str) -> Iterator[None]:
    """Turns the SDK's errors, whose texts may quote signatures, into ours."""
    try:
        yield
    except HttpResponseError as error:
        found = getattr(error, "error_code", None)
        code = str(getattr(found, "value", found) or error.reason or "")
        if code in _LOST:
            raise LeaseLost(code) from None
        status = error.status_code
        if status is None or status >= 500 or status in (408, 429):
            raise QueueUnavailable(queue, f"it answered {status} {code}".rstrip(), "It is tried again") from None
        raise QueueError(queue, f"it answered {status} {code}".rstrip(), _REMEDY) from None
    except AzureError as error:
        problem = mask_secrets(str(error.message or error).splitlines()[0])
        raise QueueUnavailable(queue, f"cannot be reached ({problem})", "It is tried again") from None
    except ValueError as error:
        raise QueueError(queue, mask_secrets(str(error)), _REMEDY) from None
