"""A database that refuses a request now and then, as Azure's do when they are asked for too much, fails no command."""

from __future__ import annotations

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
