"""Every queue of messages: taking, renewing, deleting, giving back, putting aside."""

from __future__ import annotations

import json
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from azure.storage.queue import QueueClient, QueueServiceClient

from mitorch_service.interop.vott.queues.base import HeldMessage, LeaseLost, MessageQueue, QueueError, QueueUnavailable
from mitorch_service.interop.vott.queues.service_bus import ServiceBusQueue
from mitorch_service.interop.vott.queues.storage_queue import StorageQueue
from tests import service_bus

pytestmark = pytest.mark.xdist_group("message queues")  # one server


class Side(ABC):
    """A queue, seen from the other side."""

    queue: MessageQueue

    @abstractmethod
    def send(self, text: str) -> None: ...

    @abstractmethod
    def left(self) -> int:
        """How many messages are in the queue."""

    @abstractmethod
    def reasons(self) -> list[str]:
        """Why messages were put aside."""


@dataclass
class Bus(Side):
    """A queue of the stand-in for Service Bus."""

    bus: service_bus.Bus
    queue: MessageQueue

    def send(self, text: str) -> None:
        self.bus.send(text, "an id")

    def left(self) -> int:
        return len(self.bus.entries)

    def reasons(self) -> list[str]:
        return [reason for _, reason in self.bus.dead]


def open_bus(bus: service_bus.Bus) -> ServiceBusQueue:
    return ServiceBusQueue(bus.host, "listener", "a2V5", "training", count=1, use_tls=False)


@dataclass
class Storage(Side):
    """A queue of Azurite's."""

    connection: str
    name: str
    queue: MessageQueue

    def client(self, suffix: str = "") -> QueueClient:
        return QueueClient.from_connection_string(self.connection, f"{self.name}{suffix}")

    def send(self, text: str) -> None:
        self.client().send_message(text)

    def left(self) -> int:
        return int(self.client().get_queue_properties().approximate_message_count or 0)

    def aside(self) -> list[dict[str, Any]]:
        return [json.loads(one.content) for one in self.client("-poison").peek_messages(32)]

    def reasons(self) -> list[str]:
        return [one["reason"] for one in self.aside()]


def open_storage(connection: str, name: str) -> StorageQueue:
    return StorageQueue.of_connection_string(connection, name, count=1, lease_seconds=30)


@pytest.fixture
def storage(azurite_queue: str) -> Iterator[Storage]:
    name = f"q{uuid.uuid4().hex[:12]}"
    queue = open_storage(azurite_queue, name)
    yield Storage(azurite_queue, name, queue)
    queue.close()


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    with service_bus.serving() as served:
        queue = open_bus(served)
        served.send("{}")
        take(queue).complete()  # opens the links, for which the wait below would be too short
        monkeypatch.setattr("mitorch_service.interop.vott.queues.service_bus._WAIT_SECONDS", 0.2)
        yield Bus(served, queue)
        queue.close()


@pytest.fixture(params=["storage", "bus"])
def side(request: pytest.FixtureRequest) -> Side:
    found: Side = request.getfixturevalue(request.param)
    return found


def take(queue: MessageQueue) -> HeldMessage:
    (held,) = queue.receive()
    return held


def test_a_message_is_taken_by_one_and_deleted(side: Side) -> None:
    assert side.queue.receive() == []
    side.send('{"a": 1}')
    held = take(side.queue)
    assert json.loads(held.body) == {"a": 1} and held.deliveries == 1
    assert side.queue.receive() == []
    assert held.renew() and held.renew()
    held.complete()
    assert not held.renew() and side.left() == 0


def test_a_message_that_is_given_back_comes_again(side: Side) -> None:
    side.send("{}")
    held = take(side.queue)
    held.release(0)
    again = take(side.queue)
    assert again.id == held.id and again.deliveries == 2 and not held.renew()
    again.release(1)
    assert side.queue.receive() == []


def test_a_message_is_put_aside_with_the_reason(side: Side) -> None:
    side.send("not JSON")
    held = take(side.queue)
    held.reject("is not JSON")
    assert side.left() == 0 and not held.renew() and side.reasons() == ["is not JSON"]


def test_a_lease_that_ran_out_is_told(storage: Storage) -> None:
    storage.send("{}")
    held = take(storage.queue)
    held.release(0)
    other = take(storage.queue)
    for call in (held.complete, held._renew, lambda: held.release(0)):
        with pytest.raises(LeaseLost):
            call()
    other.complete()
    assert storage.left() == 0


def test_a_lock_that_ran_out_is_told(bus: Bus) -> None:
    bus.send("{}")
    held = take(bus.queue)
    bus.bus.end_locks()
    for call in (held._renew, held.complete):
        with pytest.raises(LeaseLost):
            call()
    assert bus.left() == 1


def test_a_poison_message_says_where_it_comes_from(storage: Storage) -> None:
    storage.send("not JSON")
    held = take(storage.queue)
    held.reject("is not JSON")
    (envelope,) = storage.aside()
    assert (envelope["message"], envelope["deliveries"], envelope["message_id"]) == ("not JSON", 1, held.id)
    assert envelope["queue"].endswith(f"/{storage.name}")


def test_a_bus_is_asked_with_a_token_of_the_key(bus: Bus) -> None:
    bus.send("{}")
    bus.bus.entries[0].id = None  # as some producers leave it out
    assert take(bus.queue).id == "2"  # its number in the queue
    assert all(token.startswith("SharedAccessSignature sr=") and "skn=listener" in token for token in bus.bus.tokens)


def test_a_bus_that_refuses_or_is_away() -> None:
    with service_bus.serving() as served:
        served.refuses = 401
        refused = open_bus(served)
        with pytest.raises(QueueError, match="AZURE_SERVICE_BUS_NAMESPACE") as caught:
            refused.receive()
        refused.close()
    assert "a2V5" not in str(caught.value)
    away = ServiceBusQueue("127.0.0.1:9", "listener", "a2V5", "training", count=1, use_tls=False, retry_total=0)
    with pytest.raises(QueueUnavailable, match="cannot be reached"):
        away.receive()


def test_a_message_that_is_too_long_for_an_envelope_is_put_aside_as_it_was(storage: Storage) -> None:
    storage.send(json.dumps({"x": "y" * 65_500}))
    take(storage.queue).reject("has a key x")
    (message,) = storage.aside()
    assert list(message) == ["x"] and storage.left() == 0


def test_what_a_queue_refuses_and_one_that_is_away() -> None:
    options = {"count": 1, "lease_seconds": 30}
    away = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;QueueEndpoint=http://127.0.0.1:9/a;"
    service = QueueServiceClient.from_connection_string(away, retry_total=0)
    with pytest.raises(QueueUnavailable, match="cannot be reached"):
        StorageQueue(service, "training", **options)
    with pytest.raises(QueueError, match="AZURE_STORAGE_KEY"):
        StorageQueue.of_account("account", "no base64", "training", **options)
    with pytest.raises(QueueError, match="'an account' is not the name of a storage account"):
        StorageQueue.of_account("an account", "YQ==", "training", **options)
    with pytest.raises(QueueError):
        StorageQueue.of_connection_string("nothing", "training", **options)


def test_a_wrong_key_is_told_without_it(storage: Storage) -> None:
    wrong = storage.connection.replace("AccountKey=Eby8", "AccountKey=Wby8")
    started = time.monotonic()
    with pytest.raises(QueueError) as caught:
        open_storage(wrong, storage.name)
    assert "Wby8" not in str(caught.value) and "403" in str(caught.value) and time.monotonic() - started < 5
