"""The viewer and the Python client on a MongoDB that is not there yet, elects, hangs, or refuses its user."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pymongo
import pytest
from starlette.testclient import TestClient

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.client.client import Client
from mitorch_service.client.local import LocalConnection
from mitorch_service.errors import AccessRefused, MiTorchError, StoreUnavailable
from mitorch_service.settings import read_settings
from mitorch_service.stores.mongo import connection
from mitorch_service.viewer.access.gate import Policy
from mitorch_service.viewer.app import create_app
from mitorch_service.viewer.context import Context
from mitorch_service.wiring import open_store
from tests.cut_proxy import CutProxy
from tests.election_proxy import ElectionProxy
from tests.fakes import FakeBackend
from tests.flaky_proxy import FlakyProxy
from tests.samples import a_training
from tests.served import ADDRESS, BEARER, TOKEN

QUICK = "serverSelectionTimeoutMS=200&connectTimeoutMS=200"
NO_RIGHT = {"ok": 0.0, "code": 13, "errmsg": "not authorized on mitorch to execute command"}


@contextmanager
def short_limits() -> Iterator[None]:
    """Limits of time that a database in trouble reaches soon; one that works might, too, on a busy machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "_CLOCK_SECONDS", 0.2)
        patch.setattr("mitorch_service.viewer.context.QUERY_SECONDS", 0.3)
        yield


class Site:
    """A viewer and a client with one address of a database."""

    def __init__(self, folder: Path, uri: str, name: str) -> None:
        environment = {"MITORCH_HOME": str(folder), "HOME": str(folder), "MITORCH_DB_URI": uri, "MITORCH_DB_NAME": name}
        self.settings = read_settings(environment)
        with pytest.MonkeyPatch.context() as patch:  # the driver looks for a server that it has lost at once
            patch.setattr("pymongo.common.MIN_HEARTBEAT_INTERVAL", 0.001)
            self.store = open_store(self.settings)
        self.context = Context(
            self.settings,
            lambda: self.store,
            lambda: FolderArtifactStore(folder / "artifacts"),
            lambda: {"gpu-west": FakeBackend("gpu-west")},
        )
        app = create_app(self.context, Policy(TOKEN))
        self.browser = TestClient(app, base_url=ADDRESS, headers={**BEARER, "accept": "text/html"})
        self.connection = LocalConnection(self.settings)
        self.connection._opened = self.store
        self.client = Client.over(self.connection)

    def is_in_trouble(self, words: str, kind: type[MiTorchError]) -> None:
        for path in ("/trainings", "/api/trainings"):
            with short_limits():
                answer = self.browser.get(path)
            assert (answer.status_code, words in answer.text) == (503, True), answer.text[-2000:]
            assert "Traceback" not in answer.text
        with pytest.raises(kind, match=words):
            self.client.query()

    def works(self) -> None:
        assert self.browser.get("/trainings").status_code == 200
        assert len(self.client.query()) == 1


@pytest.fixture
def name(mongodb_uri: str) -> Iterator[str]:
    """A database with one training, without indexes: they take longer than all else."""
    name = f"mitorch_viewer_troubles_{time.monotonic_ns()}"
    with pymongo.MongoClient[dict[str, object]](mongodb_uri) as client:
        client[name]["trainings"].insert_one(a_training().to_document())
        yield name
        client.drop_database(name)


def place(mongodb_uri: str) -> tuple[str, int]:
    parts = urlsplit(mongodb_uri)
    return parts.hostname or "127.0.0.1", parts.port or 27017


def test_a_database_that_is_not_there_yet_and_then_loses_a_right(mongodb_uri: str, name: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    site = Site(tmp_path, f"mongodb://127.0.0.1:{port}/?directConnection=true&{QUICK}", name)
    site.is_in_trouble("cannot be reached", StoreUnavailable)
    proxy = FlakyProxy(*place(mongodb_uri), at=port)
    try:
        site.works()
        proxy.refuse(NO_RIGHT, b"find\x00")
        site.is_in_trouble("rights", AccessRefused)
        proxy.refuse({})
        site.works()
    finally:
        site.store.close()
        proxy.close()


def test_a_primary_that_steps_down(mongodb_uri: str, name: str, tmp_path: Path) -> None:
    """Connections are reset, and what is asked then is refused (NotWritablePrimary), until another one is elected."""
    proxy = ElectionProxy(*place(mongodb_uri))
    site = Site(tmp_path, f"{proxy.uri}&{QUICK}", name)
    try:
        site.works()
        proxy.elect()
        with short_limits():
            answer = site.browser.get("/trainings")
        assert answer.status_code in (503, 504) and "Traceback" not in answer.text
        proxy.elected()
        site.works()
    finally:
        site.store.close()
        proxy.close()


def test_one_that_falls_silent_holds_up_no_page(mongodb_uri: str, name: str, tmp_path: Path) -> None:
    host, port = place(mongodb_uri)
    proxy = CutProxy(f"{host}:{port}")
    site = Site(tmp_path, f"mongodb://{proxy.address}/?directConnection=true", name)
    try:
        site.store.trainings.count_trainings()
        proxy.hold("down", 0)
        began = time.monotonic()
        with short_limits():
            assert site.store.now().tzinfo is not None  # it is asked for the time for the first time
            answer = site.browser.get("/trainings")
        assert answer.status_code == 504 and "mitorch doctor" in answer.text
        assert time.monotonic() - began < 8
        proxy.release()
        site.works()
    finally:
        site.store.close()
        proxy.close()
