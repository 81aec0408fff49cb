"""The index that is asked, and what is left to be looked at."""

from __future__ import annotations

import pytest

from mitorch_service.insights.tables.counting import count_rows
from mitorch_service.insights.tables.opening import TableRequest, open_table
from mitorch_service.insights.tables.plan import Plan, make_plan
from mitorch_service.insights.tables.sorting import parse_sort
from mitorch_service.insights.where.conditions import compile_where
from mitorch_service.insights.where.grammar import parse_where
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.tables import IndexOrder, IndexRange
from tests.samples import NOW, a_training, later

MANY = {"completed": 1_000_000, "failed": 50_000, "running": 10, "new": 500}


def plan(where: str, sort: str | None = None) -> Plan:
    conditions = compile_where(parse_where(where), NOW, lambda key: [key])
    return make_plan(conditions, parse_sort(sort), MANY)


def of(path: str, *values: str) -> tuple[IndexRange, ...]:
    return tuple(IndexRange(path=path, value=value) for value in values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("where", "selection"),
    [
        ("", (IndexRange(),)),
        ("cat /x/ epoch:>1", (IndexRange(),)),
        ("status:failed", of("status", "failed")),
        ("status:failed,new -status:new", of("status", "new", "failed")),
        ("status:failed tag:team=a", of("tags", "team=a")),
        ("status:running tag:team=a", of("status", "running")),
        ("tag:team=a,team=b dataset:digits:2", of("tags", "team=a", "team=b")),
        ("tag:team dataset:digits:2", of("dataset.name", "digits")),
        ("-tag:team=a -dataset:digits -name:x", (IndexRange(),)),
        ("job:j dataset:digits", of("job_id", "j")),
        ("name:cat dataset:digits", of("name", "cat")),
        ("name:cat* dataset:dig*", (IndexRange(),)),
        ("name:" + ",".join(f"n{n}" for n in range(21)), (IndexRange(),)),
        ("id:abcd dataset:digits", (IndexRange(IndexOrder.ID, low="abcd", high="abcdg"),)),
        ("id:abc", (IndexRange(),)),
        (
            "created:>1h created:<2026-11-20T12:30",
            (IndexRange(IndexOrder.CREATED, low=later(-3600), high=later(-15.123)),),
        ),
        ("ended:>1h", (IndexRange(IndexOrder.ENDED, low=later(-3600)),)),
        ("created:>1h,2026-11-20", (IndexRange(),)),
        ("created:>1h tag:team=a", of("tags", "team=a")),
        ("status:new status:failed", ()),
    ],
)
def test_the_index_that_leaves_fewest_is_asked(where: str, selection: tuple[IndexRange, ...]) -> None:
    assert plan(where).selection == selection


@pytest.mark.parametrize(
    ("where", "sort", "orders", "sorts_first"),
    [
        ("", "newest", [IndexOrder.ARRIVAL], False),
        ("tag:team=a", "newest", [IndexOrder.ARRIVAL], False),
        ("tag:team=a", "name", [IndexOrder.NAME, IndexOrder.ARRIVAL], True),
        ("status:failed", "name", [IndexOrder.NAME, IndexOrder.ARRIVAL], False),
        ("status:failed", "queue", [IndexOrder.PRIORITY, IndexOrder.ARRIVAL], False),
        ("job:j", "-value", [IndexOrder.VALUE, IndexOrder.ARRIVAL], False),
        ("created:>1h", "created", [IndexOrder.CREATED], False),
        ("created:>1h", "newest", [IndexOrder.ARRIVAL], True),
        ("created:>1h", "-ended", [IndexOrder.ENDED, IndexOrder.ARRIVAL], True),
        ("", "value", None, False),
        ("tag:team=a", "val_loss", None, True),
        ("id:abcd", "newest", None, True),
    ],
)
def test_the_order_of_an_index_is_walked_where_there_is_one(
    where: str, sort: str, orders: list[IndexOrder] | None, sorts_first: bool
) -> None:
    made = plan(where, sort)
    assert (None if made.segments is None else [one.ranges[0].order for one in made.segments]) == orders
    assert made.sorts_first == sorts_first


def test_what_is_big_is_read_only_where_it_is_needed() -> None:
    assert set(plan("cat epoch:>1").without) == {"config", "error", "attempts", "artifacts"}
    assert "config" not in plan("batch_size:16").without
    assert "config" not in plan("", "batch_size").without
    assert "attempts" not in plan("cluster:local").without
    assert "error" not in plan("has:error").without


@pytest.mark.parametrize(
    ("where", "count"),
    [
        *(("", 4), ("status:new", 3), ("status:new,failed", 4), ("status:new -status:failed", None), ("tag:a=b", 2)),
        *(("name:cat", 1), ("dataset:digits", 4), ("dataset:digits:1", None), ("tag:a=b status:new", None)),
        *(
            ("tag:a", None),
            ("tag:a=b,c=d", None),
            ("name:cat*", None),
            ("-name:cat", None),
            ("cat", None),
            ("/x/", None),
        ),
        ("epoch:1", None),
    ],
)
def test_rows_are_counted_where_an_index_tells_their_number(store: Store, where: str, count: int | None) -> None:
    store.queue.add_trainings(
        [a_training(tags=["a=b"]), a_training(name="cat"), a_training(), a_training(status="failed", tags=["a=b"])]
    )
    assert count_rows(open_table(store, TableRequest(where), NOW)) == count
