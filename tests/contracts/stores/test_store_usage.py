"""Shares in the store: whose trainings wait, and what each has used."""

from __future__ import annotations

from mitorch_service.models.fair_share.usage import ShareUsage, Usage, usage_id
from mitorch_service.stores.base import Store
from tests.fakes import primitives
from tests.samples import NOW, a_training


def test_the_shares_of_which_something_waits_and_the_head_of_each(store: Store) -> None:
    ann = [a_training(submitted_by="ann", priority=priority, tags=["team=b.c"]) for priority in (100, 5, 100)]
    others = [a_training(submitted_by="$x", status="running"), a_training(submitted_by="bob"), a_training()]
    store.queue.add_trainings([*ann, *others])
    assert store.queue.waiting_shares("user", 10) == ["", "ann", "bob"]
    assert store.queue.waiting_shares("team", 10) == ["", "b.c"]
    assert store.queue.waiting_shares("user", 1) == ["", "ann"]
    head = store.queue.head_of_share("user", "ann", 2).items
    assert [row.id for row in head] == [ann[1].id, ann[0].id]
    assert [row.id for row in store.queue.head_of_share("team", "", 9).items] == [row.id for row in others[1:]]


def test_a_change_of_tags_moves_a_training_to_another_share(store: Store) -> None:
    row = a_training(submitted_by="ann")
    store.queue.add_trainings([row])
    store.labels.change_tags("training", row.id, lambda tags: ["user=bob", "team=x"])
    assert store.queue.waiting_shares("user", 10) == ["", "bob"]
    assert store.queue.waiting_shares("team", 10) == ["", "x"]


def test_the_use_is_replaced_only_by_who_has_read_it_last(store: Store) -> None:
    assert store.usage.read_usage("user") is None
    shares = [ShareUsage(share="a.$b", node_hours=1.5, started_at=NOW), ShareUsage(share="")]
    first = Usage(id=usage_id("user"), at=NOW, shares=shares, open=["mt-x-a1"])
    assert store.usage.replace_usage(None, first)
    assert not store.usage.replace_usage(None, first)
    read = store.usage.read_usage("user")
    assert read == first.model_copy(update={"version": 1})
    assert store.usage.replace_usage(read, first.model_copy(update={"open": []}))
    assert not store.usage.replace_usage(read, first)
    again = store.usage.read_usage("user")
    assert again is not None
    assert (again.version, again.open) == (2, [])
    assert store.usage.read_usage("team") is None


def test_a_damaged_document_of_use_is_replaced(store: Store) -> None:
    primitives(store).replace("controllers", {"_id": usage_id("team"), "at": "yesterday", "shares": 3})
    assert store.usage.read_usage("team") is None
    assert store.usage.replace_usage(None, Usage(id=usage_id("team"), at=NOW))
    assert store.usage.read_usage("team") is not None
