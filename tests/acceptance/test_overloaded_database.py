"""Commands on a database that refuses a request now and then, as Azure's do when they are asked for too much, that
takes no writes, or that does not answer."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pymongo
import pytest

from tests.acceptance.conftest import Machine
from tests.acceptance.digits import TINY_TRAINING, write_small_digits
from tests.flaky_proxy import FlakyProxy

THROTTLED = {"ok": 0.0, "code": 16500, "errmsg": "Error=16500, RetryAfterMs=5, Details='TooManyRequests (429)'"}


@pytest.fixture
def proxy(mongodb_uri: str) -> Iterator[FlakyProxy]:
    """The way to the server."""
    parts = urlsplit(mongodb_uri)
    proxy = FlakyProxy(parts.hostname or "127.0.0.1", parts.port or 27017)
    yield proxy
    proxy.close()


@pytest.fixture
def machine(proxy: FlakyProxy, mongodb_uri: str, tmp_path: Path) -> Iterator[Machine]:
    """A machine whose database is behind the proxy, with no place for a run."""
    name = f"mitorch_throttled_{proxy.port}"
    yield Machine(
        tmp_path,
        {
            "MITORCH_DB_URI": f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true",
            "MITORCH_DB_NAME": name,
            "MITORCH_CLUSTERS": '[{"name": "local", "slots": 0}]',
        },
    )
    with pymongo.MongoClient[dict[str, object]](mongodb_uri) as client:
        client.drop_database(name)


def test_every_command_waits_and_repeats(machine: Machine, proxy: FlakyProxy) -> None:
    definition = write_small_digits(machine.folder / "digits")
    machine.write("training.json", TINY_TRAINING)
    proxy.answer(b"createIndexes\x00", THROTTLED)
    machine.ok("dataset", "register", definition)
    proxy.answer(b"insert\x00", THROTTLED)
    training = machine.ok("submit", "training.json")
    for command in (("query", training), ("control",), ("control", "status"), ("doctor",)):
        before = proxy.answered
        proxy.answer(b"find\x00", THROTTLED)
        machine.ok(*command)
        assert proxy.answered == before + 1, command
    proxy.answer(b"findAndModify\x00", THROTTLED)
    machine.ok("control", "cancel", training)
    assert machine.query(training)["status"] == "canceled"


WRITES = (b"insert\x00", b"update\x00", b"findAndModify\x00", b"delete\x00", b"createIndexes\x00")
NO_RIGHT = {"ok": 0.0, "code": 13, "errmsg": "not authorized on mitorch to execute command"}
READ_ONLY = {"ok": 0.0, "code": 8, "errmsg": "cannot execute INSERT in a read-only transaction (SQLSTATE 25006)"}
FULL = {"ok": 0.0, "code": 1, "errmsg": 'could not extend file "base/5/16": No space left on device'}


def test_a_database_that_takes_no_writes_is_told_and_nothing_is_half_done(machine: Machine, proxy: FlakyProxy) -> None:
    """Reading works, and the same command succeeds when it is over."""
    definition = write_small_digits(machine.folder / "digits")
    machine.write("training.json", TINY_TRAINING)
    machine.ok("dataset", "register", definition)
    first = machine.ok("submit", "training.json")
    for answer, remedy, command in (
        (NO_RIGHT, "the user's rights", ("submit", "training.json")),
        (READ_ONLY, "that the server can be written", ("control", "cancel", first)),
        (FULL, "Make room on the server's disk", ("control",)),
    ):
        proxy.refuse(answer, *WRITES)
        told = machine.run(*command)
        assert (told.code, remedy in told.err, "Traceback" in told.err) == (1, True, False), told
    counts = machine.ok("query", "--json")
    proxy.refuse({})
    assert machine.query(first)["status"] == "new"
    assert json.loads(counts)["counts"] == {"new": 1}
    machine.ok("control", "cancel", first)


def test_a_database_that_accepts_and_never_answers_is_told_within_seconds(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"mongodb://127.0.0.1:{silent.getsockname()[1]}/?directConnection=true&serverSelectionTimeoutMS=200"
        for command in (("query",), ("control",)):
            began = time.monotonic()
            told = machine.run(*command, MITORCH_DB_URI=uri)
            assert (told.code, "cannot be reached" in told.err, "MITORCH_DB_URI" in told.err) == (1, True, True), told
            assert time.monotonic() - began < 10
