"""The database of dictionaries beside SQLite: the same answers, and so the same histories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from mitorch_service.errors import StoreError
from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.base import Store
from mitorch_service.stores.primitives import Primitives
from mitorch_service.stores.requests import Guarded, Query
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.stores.transitions import change_training
from tests.fakes import primitives
from tests.samples import NOW, a_training
from tests.simulation.choices import Choices
from tests.simulation.histories import Histories
from tests.simulation.memory_database import MemoryDatabase

IDS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(6)]
Step = Callable[[Primitives], object]


@pytest.fixture(scope="module")
def memory() -> Histories:
    return Histories()


@pytest.fixture(scope="module")
def sqlite() -> Histories:
    return Histories(in_sqlite=True)


# In 161 a damaged document is changed.
@pytest.mark.parametrize("seed", [30, 118, 161])
def test_a_seed_gives_the_same_history_in_both(memory: Histories, sqlite: Histories, seed: int) -> None:
    assert memory.run(Choices(seed), tracing=True).lines == sqlite.run(Choices(seed), tracing=True).lines


@pytest.fixture
def both() -> Iterator[tuple[Primitives, Primitives]]:
    store = SqliteStore(None)
    databases = MemoryDatabase(), primitives(store)
    trainings = [a_training(id=id, priority=100 - number % 3) for number, id in enumerate(IDS)]
    for database in databases:
        Store(database).queue.add_trainings(trainings)
        for record in range(4):
            database.put("training_results", {"_id": f"x:{record}", "attempt": record % 2}, fence="attempt")
    yield databases
    store.close()


def _claimed(id: str) -> Guarded:
    return change_training(id, (TrainingStatus.NEW,), TrainingStatus.QUEUED, NOW, {"attempt": (0,)}, {"attempt": 1})


def _nowhere(database: Primitives) -> object:
    with pytest.raises(StoreError, match="nothing at 7"):
        database.change(Guarded("trainings", IDS[0], {}, {"attempts.7.outcome": "lost"}))
    return database.change_all([Guarded("trainings", IDS[0], {}, {"attempts.7.x": 1}), _claimed(IDS[1])])


STEPS: dict[str, Step] = {
    "a change": lambda db: db.change(_claimed(IDS[2])),
    "a change of a part": lambda db: db.change(Guarded("trainings", IDS[2], {}, {"attempts.0": {"number": 1}})),
    "a guard that does not hold": lambda db: db.change(Guarded("trainings", IDS[0], {"attempt": (5,)}, {"name": "x"})),
    "what is missing": lambda db: db.change(Guarded("trainings", "nobody", {}, {"name": "x"})),
    "a path into nothing": _nowhere,
    "an earlier attempt's record": lambda db: db.put("training_results", {"_id": "x:1", "attempt": 0}, "attempt"),
    "what is there already": lambda db: db.insert("training_results", [{"_id": "x:1"}, {"_id": "y:1"}]),
    "earlier records": lambda db: db.remove_between("training_results", "x:", "x;", ("attempt", 1)),
    "records of earlier attempts": lambda db: db.raise_between("training_results", "x:", "x:3", "attempt", 2),
    "a removal": lambda db: db.remove("trainings", IDS[0], {"status": ("new",)}),
    "a removal that is refused": lambda db: db.remove("trainings", IDS[0], {"status": ("running",)}),
    "another value": lambda db: db.replace("trainings", {**_found(db, {"_id": IDS[3]})[0], "priority": "high"}),
    "changes of some": lambda db: db.change_all([_claimed(IDS[4]), _claimed(IDS[2]), _claimed(IDS[2])]),
}
QUERIES = [
    Query("trainings", {"status": ("queued", "running", "new")}),
    Query("trainings", {"_id": (IDS[4], IDS[1], "nobody")}),
    Query("trainings", {"status": "new"}, order=(("priority", 1), ("arrival", 1), ("_id", 1)), limit=3),
    Query("trainings", {"status": "new"}, order=(("priority", -1), ("_id", 1)), without=("config", "error")),
    Query("trainings", {"status": "new"}, between=("priority", 99, 101)),
    Query("trainings", {"job_id": None, "status": "new"}, order=(("_id", 1),), after=(IDS[1],)),
    Query("training_results", between=("_id", "x:1", "x:3"), order=(("_id", -1),)),
]


@pytest.mark.parametrize("name", STEPS)
def test_a_step_has_the_same_answer_and_effect_in_both(both: tuple[Primitives, Primitives], name: str) -> None:
    memory, sqlite = ((_as_stored(STEPS[name](database)), _everything(database)) for database in both)
    assert memory == sqlite


def test_a_reader_may_change_what_it_gets() -> None:
    database = MemoryDatabase()
    Store(database).queue.add_trainings([a_training(id=IDS[0])])
    before = _found(database, {"_id": IDS[0]})
    _found(database, {"_id": IDS[0]})[0]["dataset"]["name"] = "another"
    assert _found(database, {"_id": IDS[0]}) == before


@pytest.mark.parametrize("where", [{"tags": "x"}, {"ended_at": NOW}])
def test_a_query_that_no_history_needs_is_refused(where: dict[str, object]) -> None:
    with pytest.raises(NotImplementedError):
        MemoryDatabase().rows(Query("trainings", where))


def _found(database: Primitives, where: dict[str, object]) -> list[dict[str, Any]]:
    return list(database.find(Query("trainings", where)))


def _everything(database: Primitives) -> object:
    found = [[*database.find(query)] for query in QUERIES]
    return _as_stored([found, [database.count(query) for query in QUERIES], database.count_statuses(None)])


def _as_stored(value: object) -> object:
    """Times as texts, which is how SQLite has them, but for those that a change has just set."""
    if isinstance(value, dict):
        return {key: _as_stored(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_as_stored(one) for one in value]
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
