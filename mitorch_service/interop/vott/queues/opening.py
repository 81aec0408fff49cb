"""Opens the queue that the settings name; its SDK is imported then."""

from __future__ import annotations

from mitorch_service.errors import MissingExtra
from mitorch_service.interop.vott.consumer_settings import ConsumerSettings, StorageQueueSettings
from mitorch_service.interop.vott.queues.base import MessageQueue


def open_queue(settings: ConsumerSettings) -> MessageQueue:
    """Returns the queue. Raises MissingExtra, QueueUnavailable, QueueError."""
    try:
        return _open(settings)
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "azure-storage-queue", "consume") from error


def _open(settings: ConsumerSettings) -> MessageQueue:
    asked = settings.queue
    if not isinstance(asked, StorageQueueSettings):
        from mitorch_service.interop.vott.queues.service_bus import ServiceBusQueue

        key = asked.key.get_secret_value()
        return ServiceBusQueue(asked.namespace, asked.key_name, key, asked.queue, count=settings.count)
    from mitorch_service.interop.vott.queues.storage_queue import StorageQueue

    lease, count = settings.lease_seconds, settings.count
    if asked.account is not None and asked.key is not None:
        key = asked.key.get_secret_value()
        return StorageQueue.of_account(asked.account, key, asked.queue, count=count, lease_seconds=lease)
    assert asked.connection is not None  # one of both is set
    text = asked.connection.get_secret_value()
    return StorageQueue.of_connection_string(text, asked.queue, count=count, lease_seconds=lease)
