"""The viewer and the Python client while the database is in trouble: said in our words, with a remedy, and over as soon
as the trouble is."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from mitorch_service import wiring
from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.client.client import Client
from mitorch_service.client.connection import Connection
from mitorch_service.client.local import LocalConnection
from mitorch_service.client.remote import RemoteConnection
from mitorch_service.errors import AccessRefused, QueryTimedOut, StoreError, StoreUnavailable
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.viewer.access.gate import Policy
from mitorch_service.viewer.app import create_app
from mitorch_service.viewer.context import Context
from tests.browser.addresses import PAGES
from tests.demo_service import fill
from tests.fakes import FakeBackend, HookedStore
from tests.samples import a_training
from tests.served import ADDRESS, BEARER, NOW, TOKEN, listening

SECRET = "mongodb://me:pass-of-mine@db/"
TROUBLES: dict[str, tuple[StoreError, int, str]] = {
    "unreachable": (
        StoreUnavailable(SECRET, "cannot be reached (db: Connection refused)", "Check MITORCH_DB_URI."),
        503,
        "Check MITORCH_DB_URI.",
    ),
    "a lost right": (AccessRefused(SECRET, "not authorized (13)", "Check the user's rights."), 503, "rights."),
    "a full disk": (StoreUnavailable(SECRET, "has no space left", "Make room on the server's disk."), 503, "Make room"),
    "slow": (QueryTimedOut(SECRET, 2.0), 504, "Ask for less"),
}
CONFIG = {"model": {"name": "resnet18"}, "dataset": "parts", "max_epochs": 2}
STREAMS = ("/events", "/export")  # told of by their own tests below; an export is a stream, too


class Troubled:
    """A viewer on a filled database that raises `error` from the operations named, until that is None."""

    def __init__(self, folder: Path) -> None:
        self.error: StoreError | None = None
        self.writes_only = False
        self.asked = 0
        self.inner = SqliteStore(folder / "mitorch.db")
        self.inner.prepare()
        self.job = fill(self.inner, NOW, 27, 8)
        self.store: Store = HookedStore(self.inner, self._before)
        self.settings = read_settings({"MITORCH_HOME": str(folder), "HOME": str(folder)})
        self.context = Context(
            self.settings,
            lambda: self.store,
            lambda: FolderArtifactStore(folder / "artifacts"),
            lambda: {"gpu-west": FakeBackend("gpu-west")},
            given_clock=lambda: NOW,
        )
        self.app = create_app(self.context, Policy(TOKEN))
        self.client = TestClient(self.app, base_url=ADDRESS, headers=BEARER)
        self.paths = {name: path(self) for name, path in PAGES.items()}

    def _before(self, operation: str) -> None:
        self.asked += 1
        reads = operation in ("find", "scan", "count", "ping", "plan")
        if self.error is not None and not (self.writes_only and reads):
            raise self.error


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troubled]:
    viewer = Troubled(tmp_path_factory.mktemp("troubled"))
    yield viewer
    viewer.inner.close()


@pytest.fixture(autouse=True)
def _over(viewer: Troubled) -> Iterator[None]:
    yield
    viewer.error, viewer.writes_only = None, False


def read_routes(viewer: Troubled) -> list[str]:
    """The pages, and what the API reads, with ids that exist."""
    documents = viewer.app.openapi()["paths"]
    training = viewer.paths["completed training"].rpartition("/")[2]
    found = list(viewer.paths.values())
    for path, methods in documents.items():
        if "get" in methods and not any(word in path for word in STREAMS):
            id = viewer.job if "/jobs/" in path else training
            found.append(re.sub(r"\{\w+\}", "1", path.replace("{id}", id).replace("{name}", "parts")))
    return found


def told(viewer: Troubled, path: str, trouble: str) -> bool:
    """Whether the database was asked; then the trouble was told, and was over with it."""
    error, code, remedy = TROUBLES[trouble]
    asked, viewer.error = viewer.asked, error
    answer = viewer.client.get(path)
    viewer.error = None
    if viewer.asked == asked:
        return False
    if answer.status_code < 300:  # made of what the background has read
        assert viewer.client.get(path).status_code == answer.status_code
        return False
    assert answer.status_code == code, (path, answer.status_code, answer.text[:2000])
    assert remedy in answer.text.replace("&#39;", "'"), path
    for word in ("Traceback", "bug of mitorch", "pass-of-mine"):
        assert word not in answer.text, (path, word)
    kind = "application/json" if path.startswith("/api") else "text/html"
    assert answer.headers["content-type"].startswith(kind), path
    return True


def test_every_page_and_route_says_what_is_wrong_and_works_again(viewer: Troubled) -> None:
    routes = read_routes(viewer)
    silent = [path for path in routes if not told(viewer, path, "unreachable")]
    asking = {"queue", "trainings", "completed training", "searches", "search", "data sets", "comparison", "status"}
    assert not {viewer.paths[name] for name in asking} & {*silent}
    assert len(silent) < len(routes) / 3, silent
    for path in ("/", "/api/trainings", viewer.paths["comparison"]):
        assert viewer.client.get(path).status_code == 200


@pytest.mark.parametrize("trouble", [name for name in TROUBLES if name != "unreachable"])
def test_each_trouble_has_its_remedy(viewer: Troubled, trouble: str) -> None:
    assert told(viewer, "/", trouble) and told(viewer, "/api/trainings", trouble)


@pytest.mark.parametrize("trouble", ["a lost right", "a full disk"])
def test_what_is_ordered_is_refused_and_done_later(viewer: Troubled, trouble: str) -> None:
    """Reading works meanwhile."""
    error, code, remedy = TROUBLES[trouble]
    training = a_training()
    viewer.inner.queue.add_trainings([training])
    orders: list[tuple[str, str, object]] = [
        ("PATCH", f"/api/trainings/{training.id}", {"priority": 3}),
        ("POST", f"/api/trainings/{training.id}/cancel", None),
        ("POST", "/api/submissions", {"config": CONFIG, "name": "later"}),
        ("PUT", "/api/views", {"name": "mine", "where": "status:failed"}),
    ]
    viewer.error, viewer.writes_only = error, True
    for method, path, body in orders:
        answer = viewer.client.request(method, path, json=body)
        assert (answer.status_code, remedy in answer.json()["error"]) == (code, True), (path, answer.text)
    assert viewer.client.get("/").status_code == 200
    assert viewer.inner.trainings.get_training(training.id) == training
    viewer.error = None
    for method, path, body in orders:
        assert viewer.client.request(method, path, json=body).status_code < 400, path


CALLS: dict[str, Callable[[Client, str], object]] = {
    "get": lambda client, id: client.get(id),
    "query": lambda client, id: client.query("status:completed"),
    "jobs": lambda client, id: client.jobs(),
    "curve": lambda client, id: client.curve(id),
    "datasets": lambda client, id: client.datasets(),
    "status": lambda client, id: client.status(),
    "explain": lambda client, id: client.explain(CONFIG),
    "submit": lambda client, id: client.submit(CONFIG, name="of a call"),
    "change": lambda client, id: client.change(id, note="x"),
}


@pytest.fixture(scope="module")
def url(viewer: Troubled) -> Iterator[str]:
    with listening(viewer.app) as address:
        yield address


@pytest.mark.parametrize("where", ["local", "remote"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_client_raises_our_errors_and_works_again(
    viewer: Troubled, url: str, where: str, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error, _, remedy = TROUBLES[trouble]
    monkeypatch.setattr(wiring, "open_store", lambda settings, create=False: viewer.store)
    connection: Connection = LocalConnection(viewer.settings) if where == "local" else RemoteConnection(url, TOKEN)
    client = Client.over(connection)
    id = viewer.paths["completed training"].rpartition("/")[2]
    for name, call in CALLS.items():
        viewer.error = error
        with pytest.raises(type(error)) as raised:
            call(client, id)
        assert remedy in str(raised.value), name
        assert type(raised.value) is type(error), name
        viewer.error = None
        call(client, id)


def test_a_stream_tells_a_trouble_and_goes_on(viewer: Troubled, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mitorch_service.viewer.api.queue_events.LOOK_SECONDS", 0.01)
    viewer.error = TROUBLES["unreachable"][0]
    request = urllib.request.Request(f"{url}/api/events/queue", headers=BEARER)
    with urllib.request.urlopen(request, timeout=20) as stream:
        events = (line.decode() for line in stream if line.startswith((b"event", b"data")))
        assert next(events) == "event: problem\n"
        assert "Check MITORCH_DB_URI." in next(events)
        viewer.error = None
        assert any(line == "event: queue\n" for line in events)


def test_an_export_that_cannot_begin_is_an_error_and_no_empty_file(viewer: Troubled) -> None:
    viewer.error = TROUBLES["unreachable"][0]
    answer = viewer.client.get("/api/trainings/export?format=csv")
    assert (answer.status_code, "Check MITORCH_DB_URI." in answer.text) == (503, True)
