"""Databases that are damaged, full, unreachable, or lose a message."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pymongo
import pytest

from mitorch_service.errors import AccessRefused, StoreError, StoreUnavailable
from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.mongo.connection import TIMEOUTS
from mitorch_service.stores.mongo.store import MongoStore
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.cut_proxy import CutProxy
from tests.election_proxy import ElectionProxy
from tests.flaky_proxy import FlakyProxy, Loss
from tests.samples import NOW, a_result, a_training, an_attempt
from tests.small_disk import tmpfs

LOSSES = get_args(Loss)


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mitorch.db"
    path.write_text("these are not the bytes you are looking for\n" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"mitorch\.db.*not a database.*move this one away"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_a_folder_in_the_place_of_the_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=str(tmp_path)):
        SqliteStore(tmp_path)


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="MITORCH_HOME"):
        SqliteStore(tmp_path / "file" / "mitorch.db")


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mitorch.db"
    SqliteStore(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(StoreError, match="newer version"):
        SqliteStore(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "2m") as folder:
        (folder / "ballast").write_bytes(b"x" * 500_000)
        store = SqliteStore(folder / "mitorch.db")
        accepted = []
        with pytest.raises(StoreUnavailable, match="full"):
            while True:
                training = a_training(config={"padding": "x" * 20_000})
                store.queue.add_trainings([training])
                accepted.append(training.id)
        assert accepted
        assert sorted(row.id for row in store.queue.queue_head(1000).items) == sorted(accepted)
        (folder / "ballast").unlink()
        assert store.queue.add_trainings([a_training()]) == 1
        store.close()


def test_an_unreachable_server_is_named_without_its_password() -> None:
    uri = "mongodb://someone:s3cret@127.0.0.1:1/?serverSelectionTimeoutMS=200"
    store = MongoStore(uri, "test")
    with pytest.raises(StoreUnavailable, match=r"someone:\*\*\*@127\.0\.0\.1.*firewall") as raised:
        store.queue.queue_head(1)
    assert "cannot be reached (127.0.0.1:1: Connection refused)" in str(raised.value)
    assert "s3cret" not in str(raised.value)
    store.close()


def test_a_malformed_uri_is_a_clear_error() -> None:
    with pytest.raises(StoreError, match="Correct MITORCH_DB_URI"):
        MongoStore("mongodb://user:p/w@host:notaport/", "test")


@pytest.mark.parametrize("options", ["tlsCAFile=/no/such/file", "nonsense=1", "authMechanism=NONSENSE"])
def test_an_option_of_the_uri_that_the_driver_would_ignore_is_refused(options: str) -> None:
    with pytest.raises(StoreError, match="Correct MITORCH_DB_URI"):
        MongoStore(f"mongodb://h/?{options}", "test")


def test_a_document_written_by_hand_can_be_put_aside_whatever_its_id_is(mongodb_uri: str) -> None:
    name = f"mitorch_by_hand_{os.getpid()}"
    with pymongo.MongoClient[dict[str, object]](mongodb_uri) as client:
        store = MongoStore(mongodb_uri, name)
        store.prepare()
        client[name].trainings.insert_one({"status": "new", "priority": -1})  # its _id becomes an ObjectId
        (broken,) = store.queue.queue_head(5).broken
        assert store.queue.quarantine_training(broken.key, NOW, broken.reason)
        assert store.queue.queue_head(5).broken == []
        assert store.trainings.count_trainings() == {"failed": 1}
        store.close()
        client.drop_database(name)


def store_uri(proxy: FlakyProxy) -> str:
    """The address of the server behind the proxy."""
    return f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"


@pytest.fixture
def flaky(mongodb_uri: str) -> Iterator[tuple[FlakyProxy, MongoStore]]:
    """A store that reaches its server through a proxy that loses messages."""
    parts = urlsplit(mongodb_uri)
    proxy = FlakyProxy(parts.hostname or "127.0.0.1", parts.port or 27017)
    name = f"mitorch_flaky_{proxy.port}"
    with pytest.MonkeyPatch.context() as patch:  # the driver looks for a server that it has lost at once
        patch.setattr("pymongo.common.MIN_HEARTBEAT_INTERVAL", 0.001)
        store = MongoStore(store_uri(proxy), name)
    store.prepare()
    yield proxy, store
    store.close()
    proxy.close()
    with pymongo.MongoClient[dict[str, object]](mongodb_uri) as client:
        client.drop_database(name)


AZURE = "Error=16500, RetryAfterMs=3, Details='TooManyRequests (429)'"
THROTTLED = {"ok": 0.0, "code": 16500, "codeName": "Location16500", "errmsg": AZURE}
STEPPING_DOWN = {"ok": 0.0, "code": 189, "errmsg": "stepping down", "errorLabels": ["RetryableWriteError"]}
REFUSALS = [THROTTLED, {"ok": 0.0, "code": 50, "errmsg": "operation exceeded time limit"}, THROTTLED]


def test_an_overloaded_server_only_takes_longer(flaky: tuple[FlakyProxy, MongoStore], waits: list[float]) -> None:
    proxy, store = flaky
    training, other = a_training(), MongoStore(store_uri(proxy), f"mitorch_flaky_{proxy.port}")
    steps: dict[str, Callable[[], object]] = {
        "insert": lambda: store.queue.add_trainings([training]),
        "update": lambda: store.queue.claim_training(training.id, an_attempt(training)),
        "findAndModify": lambda: store.runs.start_training(training.id, 1, "worker", NOW),
        "delete": lambda: store.runs.start_training(training.id, 1, "worker", NOW),
        "find": lambda: store.queue.active_trainings().items,
        "aggregate": store.trainings.count_trainings,
        "createIndexes": other.prepare,
    }
    for number, (command, step) in enumerate(steps.items(), 1):
        proxy.answer(command.encode() + b"\x00", *REFUSALS)
        step()
        assert proxy.answered == number * len(REFUSALS), command
    other.close()
    proxy.answer(b"findAndModify\x00", STEPPING_DOWN)
    assert not store.runs.heartbeat(training.id, 1, NOW)
    assert store.trainings.get_training(training.id).status == TrainingStatus.RUNNING
    assert store.trainings.count_trainings() == {"running": 1}


def test_a_bulk_of_which_the_server_took_a_part_is_completed(
    flaky: tuple[FlakyProxy, MongoStore], waits: list[float]
) -> None:
    proxy, store = flaky
    trainings = [a_training() for _ in range(3)]
    refused = [{"index": index, "code": 16500, "errmsg": AZURE} for index in (0, 2)]
    proxy.answer(b"insert\x00", {"ok": 1.0, "n": 1, "writeErrors": refused})  # it says that it has the second one
    assert store.queue.add_trainings(trainings) == 3
    assert {row.id for row in store.queue.queue_head(5).items} == {trainings[0].id, trainings[2].id}


def test_changes_of_which_the_server_refused_some_for_now_are_all_made(
    flaky: tuple[FlakyProxy, MongoStore], waits: list[float]
) -> None:
    proxy, store = flaky
    trainings = [a_training() for _ in range(3)]
    store.queue.add_trainings(trainings)
    refused = [{"index": 1, "code": 16500, "errmsg": AZURE}]
    proxy.answer(b"update\x00", {"ok": 1.0, "n": 2, "nModified": 2, "writeErrors": refused})
    claims = [(training.id, an_attempt(training)) for training in trainings]
    assert store.queue.claim_trainings(claims) == [True, True, True]


def test_a_server_that_stays_overloaded_is_unavailable_in_its_own_words(
    flaky: tuple[FlakyProxy, MongoStore], waits: list[float]
) -> None:
    proxy, store = flaky
    proxy.answer(b"find\x00", *[THROTTLED] * 100)
    with pytest.raises(StoreUnavailable, match=r"overloaded.*for 30 s: Error=16500.*RequestRateTooLarge"):
        store.queue.queue_head(1)
    assert 10 < sum(waits) <= 30


def test_a_server_that_refuses_for_good_is_not_asked_again(
    flaky: tuple[FlakyProxy, MongoStore], waits: list[float]
) -> None:
    proxy, store = flaky
    proxy.answer(b"find\x00", {"ok": 0.0, "code": 13, "errmsg": "not authorized on mitorch"})
    with pytest.raises(StoreError, match=r"not authorized on mitorch .13.*rights") as raised:
        store.queue.queue_head(1)
    assert not isinstance(raised.value, StoreUnavailable)
    assert (proxy.answered, waits) == (1, [])


def test_a_server_without_a_primary_is_told_in_these_words(
    flaky: tuple[FlakyProxy, MongoStore], waits: list[float]
) -> None:
    proxy, store = flaky
    proxy.answer(b"find\x00", *[{"ok": 0.0, "code": 10107, "errmsg": "not primary"}] * 100)
    with pytest.raises(StoreUnavailable, match=r"has no primary or is not ready, for 30 s: not primary\."):
        store.queue.queue_head(1)
    assert 10 < sum(waits) <= 30


def test_a_full_server_is_told_at_once_and_may_be_tried_again(
    flaky: tuple[FlakyProxy, MongoStore], waits: list[float]
) -> None:
    proxy, store = flaky
    training = a_training()
    proxy.answer(b"insert\x00", {"ok": 0.0, "code": 14031, "errmsg": "no disk space"})
    with pytest.raises(
        StoreUnavailable, match=r"has no space left: no disk space \(OutOfDiskSpace, 14031\)\. Make room"
    ):
        store.queue.add_trainings([training])
    assert waits == []
    assert store.queue.add_trainings([training]) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"ok": 0.0, "code": 13, "errmsg": "not authorized on mitorch"},
        {"ok": 0.0, "code": 8, "errmsg": "cannot execute UPDATE in a read-only transaction"},
    ],
)
def test_a_server_that_may_not_be_written_refuses_access(
    flaky: tuple[FlakyProxy, MongoStore], answer: dict[str, object]
) -> None:
    """It is no fault of what was to be written, so that runs wait until a person has given the right back."""
    proxy, store = flaky
    proxy.answer(b"insert\x00", answer)
    with pytest.raises(AccessRefused, match="the user's rights"):
        store.queue.add_trainings([a_training()])


def test_a_server_that_answers_after_the_time_limit_is_unavailable_and_nothing_is_made_twice(
    mongodb_uri: str, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mitorch_service.stores.patience.backoff", lambda failures: 20.0)  # so that it tries twice
    parts = urlsplit(mongodb_uri)
    proxy = CutProxy(f"{parts.hostname}:{parts.port}")
    name = f"mitorch_slow_{proxy.address.rpartition(':')[2]}"
    quick = "directConnection=true&socketTimeoutMS=100&connectTimeoutMS=100&serverSelectionTimeoutMS=100"
    with pytest.MonkeyPatch.context() as patch:  # the driver looks for a server that it has lost at once
        patch.setattr("pymongo.common.MIN_HEARTBEAT_INTERVAL", 0.001)
        store = MongoStore(f"mongodb://{proxy.address}/?{quick}", name)
    other = MongoStore(mongodb_uri, name)
    training = a_training()
    try:
        other.queue.add_trainings([a_training()])
        assert len(store.queue.queue_head(5).items) == 1
        proxy.hold("down", 0)  # the server does what it is asked for, and its answers stay away
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            store.queue.add_trainings([training])
        assert {row.id for row in other.queue.queue_head(5).items} >= {training.id}
        proxy.release()
        store.queue.add_trainings([training])
        assert other.trainings.count_trainings() == {"new": 2}
    finally:
        store.close()
        other.close()
        proxy.close()
        with pymongo.MongoClient[dict[str, object]](mongodb_uri) as client:
            client.drop_database(name)


def test_a_person_waits_three_seconds_for_a_server_that_is_not_there() -> None:
    assert TIMEOUTS["serverSelectionTimeoutMS"] == 3000


@pytest.mark.parametrize("loss", LOSSES)
def test_a_lost_message_never_gives_half_a_submission_or_two(flaky: tuple[FlakyProxy, MongoStore], loss: Loss) -> None:
    proxy, store = flaky
    training = a_training()
    proxy.lose(loss, b"insert\x00")
    store.queue.add_trainings([training])
    assert proxy.lost == 1
    assert [row.id for row in store.queue.queue_head(5).items] == [training.id]
    assert store.trainings.get_training(training.id) == training


@pytest.mark.parametrize("loss", LOSSES)
def test_a_run_survives_lost_messages(flaky: tuple[FlakyProxy, MongoStore], loss: Loss) -> None:
    proxy, store = flaky
    training = a_training()
    store.queue.add_trainings([training])
    assert store.queue.claim_training(training.id, an_attempt(training))
    proxy.lose(loss, b"findAndModify\x00")
    store.runs.start_training(training.id, 1, "worker", NOW)
    proxy.lose(loss, b"update\x00")
    store.runs.record_epoch(training.id, 1, 3, a_result(1))
    assert proxy.lost == 2
    assert store.runs.curve(training.id).items == [a_result(1)]
    assert store.trainings.get_training(training.id).status == TrainingStatus.RUNNING


def test_the_election_of_a_primary_is_waited_for(mongodb_uri: str) -> None:
    parts = urlsplit(mongodb_uri)
    proxy = ElectionProxy(parts.hostname or "127.0.0.1", parts.port or 27017)
    name = f"mitorch_election_{proxy.address.rpartition(':')[2]}"
    store = MongoStore(f"{proxy.uri}&serverSelectionTimeoutMS=200", name)
    training = a_training()
    calls: list[Callable[[], object]] = [
        lambda: store.runs.record_epoch(training.id, 1, 3, a_result(1)),
        lambda: store.trainings.get_training(training.id),
    ]
    try:
        store.prepare()
        store.queue.add_trainings([training])
        store.queue.claim_training(training.id, an_attempt(training))
        store.runs.start_training(training.id, 1, "worker", NOW)
        for call in calls:
            proxy.elect()
            threading.Timer(0.4, proxy.elected).start()
            call()
        assert store.trainings.count_trainings() == {"running": 1}
        assert [result.epoch for result in store.runs.curve(training.id).items] == [1]
    finally:
        store.close()
        proxy.close()
        with pymongo.MongoClient[dict[str, object]](mongodb_uri) as client:
            client.drop_database(name)
