"""How a filter goes on as it is written."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mitorch_service.insights.tables.suggestions import Suggestions, suggest
from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.samples import NOW, a_dataset, a_job, a_training


@pytest.fixture
def store() -> Iterator[Store]:
    store = SqliteStore(None)
    store.queue.add_trainings([a_training(tags=["team=the big one"], submitted_by="ada") for _ in range(3)])
    store.queue.add_trainings([a_training(tags=["team=b"], submitted_by='the "other"')])
    store.datasets.add_dataset(a_dataset())
    store.jobs.add_job(a_job(name="lr and model"))
    yield store
    store.close()


def _texts(found: Suggestions) -> list[str]:
    return [one.text for one in found.items]


def _suggest(store: Store, text: str, position: int | None = None) -> Suggestions:
    return suggest(store, text, len(text) if position is None else position, NOW)


def test_a_word_without_a_colon_becomes_a_field(store: Store) -> None:
    found = _suggest(store, "status:new -pri")
    assert (found.start, found.end) == (12, 15)
    assert _texts(found)[0] == "priority:"
    assert "config.lr_scheduler.base_lr:" in _texts(_suggest(store, "base"))
    assert _texts(_suggest(store, "has"))[0] == "has:"
    assert _texts(_suggest(store, "")) != []
    assert _texts(_suggest(store, "/pri")) == _texts(_suggest(store, '"pri')) == []


def test_values_are_those_of_the_field(store: Store) -> None:
    assert _texts(_suggest(store, "status:f")) == ["failed"] + [s for s in TrainingStatus if s != "failed" and "f" in s]
    assert {"open", "active", "ended"} <= set(_texts(_suggest(store, "status:")))
    assert _texts(_suggest(store, "dataset:dig")) == ["digits", '"digits:1"']
    assert _texts(_suggest(store, "job:lr")) == ['"lr and model"']
    assert _texts(_suggest(store, "tag:")) == ['"team=the big one"', '"team=b"'] or _texts(_suggest(store, "tag:"))
    assert _texts(_suggest(store, "by:")) == ["ada", '"the \\"other\\""']
    assert ">7d" in _texts(_suggest(store, "created:"))
    assert _texts(_suggest(store, "config.model.name:")) == ["test_resnet"]
    assert _texts(_suggest(store, "val_loss:")) == _texts(_suggest(store, "nonsense:")) == []


def test_only_the_last_value_at_the_cursor_is_replaced(store: Store) -> None:
    found = _suggest(store, "-status:failed,div -x", 18)
    assert (found.start, found.end, _texts(found)) == (15, 18, ["diverged"])
    quoted = _suggest(store, 'name:"a b" status:comp')
    assert (quoted.start, _texts(quoted)) == (18, ["completed"])
    assert _suggest(store, "status:new", 10_000).end == 10
