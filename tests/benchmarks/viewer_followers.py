"""Clients that follow live curves, all at once: what they get, and what they cost the server and its database."""

from __future__ import annotations

import http.client
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import uvicorn

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.viewer.access.gate import Policy
from mitorch_service.viewer.app import create_app
from mitorch_service.viewer.context import Context
from mitorch_service.viewer.serve import listen
from tests.benchmarks.filling import Database
from tests.benchmarks.viewer_filling import LONG_EPOCHS, RUNNING_EPOCHS
from tests.fakes import HookedStore
from tests.samples import a_result

_CONNECT_SECONDS = 30
_EVERY = 2.0  # seconds
_OWN_PORT = 8870


@dataclass
class Followers:
    """The events that clients have received."""

    events: list[int]  # of each client
    written: dict[int, float] = field(default_factory=dict)  # epoch -> when it was recorded
    seconds: list[float] = field(default_factory=list)  # from the record of an epoch to its arrival at a client
    problems: list[str] = field(default_factory=list)


@contextmanager
def following(port: int, addresses: Sequence[str]) -> Iterator[Followers]:
    """One client for each address, until the block ends."""
    found, end = Followers([0] * len(addresses)), threading.Event()
    threads = [
        threading.Thread(target=_follow, args=(port, address, found, number, end), daemon=True)
        for number, address in enumerate(addresses)
    ]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        end.set()
        for thread in threads:
            thread.join(timeout=_CONNECT_SECONDS)


def record_epochs(store: Store, ids: Sequence[str], count: int, written: dict[int, float]) -> Iterator[int]:
    """Records an epoch of each running training every two seconds, and yields its number; they are dropped at the
    end."""
    try:
        for epoch in range(RUNNING_EPOCHS + 1, RUNNING_EPOCHS + count + 1):
            begin = time.monotonic()
            for id in ids:
                store.runs.record_epoch(id, 1, LONG_EPOCHS, a_result(epoch, finished_at=datetime.now(UTC)))
            written[epoch] = time.monotonic()
            time.sleep(max(0.0, _EVERY - (time.monotonic() - begin)))
            yield epoch
    finally:
        for id in ids:
            store.runs.drop_results(id, 2, RUNNING_EPOCHS)


def reads_a_second(database: Database, address: str, clients: int, seconds: float) -> float:
    """Queries that a server makes while so many clients follow one address, counted in a server of this process."""
    counts: Counter[str] = Counter()

    def count(operation: str) -> None:
        counts[operation] += 1

    settings = read_settings({"MITORCH_HOME": tempfile.gettempdir(), **database.settings()})
    context = Context(settings, lambda: HookedStore(database.open(), count), _unused, dict)
    listening = listen("127.0.0.1", None, _OWN_PORT)
    server = uvicorn.Server(uvicorn.Config(create_app(context, Policy(None)), log_level="warning"))
    threading.Thread(target=server.run, args=([listening.socket],), daemon=True).start()
    with following(int(listening.url.rpartition(":")[2]), [address] * clients):
        time.sleep(3.0)  # until all are connected
        counts.clear()
        time.sleep(seconds)
        found = counts["find"]
    server.should_exit = True
    return found / seconds


def _unused() -> ArtifactStore:
    raise NotImplementedError


def _follow(port: int, address: str, found: Followers, number: int, end: threading.Event) -> None:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=_CONNECT_SECONDS)) as connection:
            connection.request("GET", address, headers={"accept": "text/event-stream"})
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise OSError(f"{answer.status} {answer.read(200)!r}")
            while not end.is_set():
                line = answer.readline()
                if not line:
                    return
                if line.startswith(b"id: "):
                    _note(int(line[4:].split(b",")[0]), found)
                elif line.startswith(b"event: "):
                    found.events[number] += 1
    except OSError as error:
        if not end.is_set():
            found.problems.append(str(error))


def _note(epoch: int, found: Followers) -> None:
    if epoch in found.written:
        found.seconds.append(time.monotonic() - found.written[epoch])
