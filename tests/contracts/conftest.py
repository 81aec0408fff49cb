"""Every implementation of each contract."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymongo
import pytest

from mitorch_service.stores.base import Store
from mitorch_service.stores.mongo.store import MongoStore
from mitorch_service.stores.requests import Query
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.azureml_emulator.client import Emulator, running
from tests.azureml_worker import Worker
from tests.fakes import primitives

_PREPARED = {"store", "storage"}  # fixtures that prepare it


@dataclass(frozen=True)
class Database:
    """An empty database of its own, which any number of stores (and processes) may open. Can be pickled."""

    kind: str
    where: str
    name: str = field(default_factory=lambda: f"mitorch_test_{uuid.uuid4().hex[:12]}")

    def open(self) -> Store:
        """A new store on this database."""
        return MongoStore(self.where, self.name) if self.kind == "mongo" else SqliteStore(Path(self.where))


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One emulated Azure ML for all tests of backends, which have a workspace each."""
    with running(tmp_path_factory.mktemp("azure")) as emulator:
        emulator.add_principal()
        yield emulator


@pytest.fixture(scope="session")
def worker(azure: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """The process that the SDKs are loaded in, once."""
    with Worker(azure, tmp_path_factory.mktemp("worker")) as worker:
        yield worker


class PreparedDatabases:
    """Databases of MongoDB that are empty but for their collections and indexes, for one test after the other: to
    make one takes ten times as long as to empty it."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._client = pymongo.MongoClient[dict[str, object]](uri)
        self._free: list[Database] = []
        self._indexes: object = None

    def take(self) -> Database:
        """Gives one away."""
        if self._free:
            return self._free.pop()
        made = Database("mongo", self._uri)
        with closing(made.open()) as store:
            store.prepare()
        self._indexes = self._indexes or self._indexes_of(made)
        return made

    def give_back(self, database: Database) -> None:
        """Empties one that a test has used, or drops it if the test has changed more than documents."""
        for name in self._client[database.name].list_collection_names():
            self._client[database.name][name].delete_many({})
        if self._indexes_of(database) == self._indexes:
            self._free.append(database)
        else:
            self._client.drop_database(database.name)

    def close(self) -> None:
        """Drops all that were given back."""
        for database in self._free:
            self._client.drop_database(database.name)
        self._client.close()

    def _indexes_of(self, database: Database) -> object:
        """Returns the names by collection, but for collections without one of ours: a first document makes these."""
        found = self._client[database.name]
        indexes = {name: set(found[name].index_information()) for name in found.list_collection_names()}
        return {name: names for name, names in indexes.items() if len(names) > 1}


@pytest.fixture(scope="session")
def prepared_databases(mongodb_uri: str) -> Iterator[PreparedDatabases]:
    """The databases of this process."""
    with closing(PreparedDatabases(mongodb_uri)) as databases:
        yield databases


@pytest.fixture(params=["sqlite", "mongo"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """SQLite in a file, and MongoDB. Prepared already where the test uses a prepared store all the same."""
    own = request.node.get_closest_marker("own_database") is not None or not _PREPARED & set(request.fixturenames)
    if request.param == "mongo" and not own:
        databases: PreparedDatabases = request.getfixturevalue("prepared_databases")
        database = databases.take()
        yield database
        databases.give_back(database)
        return
    with database_for(request, tmp_path) as database:
        yield database


@contextmanager
def database_for(request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    """A database of the kind that is the request's parameter, SQLite where it has none."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield Database("sqlite", str(folder / "folder" / "test.db"))
        return
    mongo = Database("mongo", request.getfixturevalue("mongodb_uri"))
    yield mongo
    with pymongo.MongoClient[dict[str, object]](mongo.where) as client:
        client.drop_database(mongo.name)


@pytest.fixture
def open_store(database: Database) -> Iterator[Callable[[], Store]]:
    """Opens the same database as often as wanted; all are closed at the end."""
    opened: list[Store] = []

    def open_() -> Store:
        opened.append(database.open())
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    """A prepared store."""
    store = open_store()
    store.prepare()
    return store


@pytest.fixture
def mongo_store(mongodb_uri: str) -> Iterator[Store]:
    """A prepared store on MongoDB only."""
    database = Database("mongo", mongodb_uri)
    store = database.open()
    store.prepare()
    yield store
    store.close()
    with pymongo.MongoClient[dict[str, object]](database.where) as client:
        client.drop_database(database.name)


@pytest.fixture
def asked(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[Query]:
    """Every query that the store is asked to find or count from now on, while it goes on answering."""
    queries: list[Query] = []
    database = primitives(store)
    find, count = database.find, database.count

    def spy_find(query: Query) -> Iterator[dict[str, Any]]:
        queries.append(query)
        return find(query)

    def spy_count(query: Query) -> int:
        queries.append(query)
        return count(query)

    monkeypatch.setattr(database, "find", spy_find)
    monkeypatch.setattr(database, "count", spy_count)
    return queries
