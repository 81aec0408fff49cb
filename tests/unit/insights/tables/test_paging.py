"""Pages of tables: every row exactly once in every order and direction, while others are added."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitorch_service.errors import InvalidInput
from mitorch_service.insights.tables.opening import TableRequest
from mitorch_service.insights.tables.table import TablePage, read_table
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.fakes import primitives
from tests.samples import NOW, a_training, later

SORTS = ("newest", "oldest", "name", "-name", "priority", "-created", "ended", "-ended", "-val_loss", "tag", "-base_lr")
FILTERS = ("", "status:new,running", "tag:team=0,team=1", "-tag:team=0", "cat", "created:>2026-01-01", "status:ended")


def ids(pages: Sequence[TablePage]) -> list[str]:
    return [row.id for page in pages for row in page.rows]


def read_all(store: Store, request: TableRequest, backward_from: TablePage | None = None) -> list[TablePage]:
    """All pages from the first to the last; or those before one, in the order of the table."""
    pages: list[TablePage] = []
    token = None if backward_from is None else backward_from.previous
    while backward_from is None or token is not None:
        page = read_table(store, TableRequest(request.where, request.sort, None, request.limit, token), NOW)
        assert page.complete
        pages.append(page)
        token = page.next if backward_from is None else page.previous
        if token is None:
            break
    return pages if backward_from is None else pages[::-1]


def some_trainings(number: int, names: Sequence[str | None], same: int) -> list[Training]:
    """Trainings of which many are alike in what tables are sorted by."""
    statuses = list(TrainingStatus)
    return [
        a_training(
            name=names[n % len(names)],
            status=statuses[n % len(statuses)],
            status_times={statuses[n % len(statuses)]: later(n // same)},
            tags=[f"team={n % 3}", *(["team=0"] if n % 4 == 1 else [])],
            priority=100 - n % 2,
            created_at=later(n // same),
            config={"model": {"name": "m"}, "lr_scheduler": {"base_lr": n % same}},
            evaluation={"val_loss": float(n % same)} if n % 5 else None,
        )
        for n in range(number)
    ]


@settings(deadline=None, max_examples=25)
@given(
    number=st.integers(0, 23),
    names=st.lists(st.sampled_from([None, "cat", "dog", "cat 2"]), min_size=1, max_size=4),
    same=st.integers(1, 9),
    limit=st.integers(1, 12),
    sort=st.sampled_from(SORTS),
    where=st.sampled_from(FILTERS),
    added=st.integers(0, 3),
)
def test_every_row_comes_once_in_both_directions_while_rows_are_added(
    number: int, names: list[str | None], same: int, limit: int, sort: str, where: str, added: int
) -> None:
    store = SqliteStore(None)
    before = some_trainings(number, names, same)
    store.queue.add_trainings(before)
    request = TableRequest(where, sort, limit=limit)
    expected = ids([read_table(store, TableRequest(where, sort, limit=1000), NOW)])
    pages = [read_table(store, request, NOW)]
    new = count()
    while pages[-1].next is not None:
        if next(new) < added:
            store.queue.add_trainings(some_trainings(1, names, same))
        request = TableRequest(where, sort, limit=limit, after=pages[-1].next)
        pages.append(read_table(store, request, NOW))
    known = {one.id for one in before}
    assert [id for id in ids(pages) if id in known] == expected
    assert len(ids(pages)) == len(set(ids(pages)))
    back = ids([*read_all(store, TableRequest(where, sort, limit=limit), pages[-1]), pages[-1]])
    assert [id for id in back if id in known] == expected
    store.close()


def test_rows_without_a_value_are_last_in_both_directions(store: Store) -> None:
    rows = [a_training(name=name) for name in ("b", None, "a")]
    store.queue.add_trainings(rows)
    assert ids(read_all(store, TableRequest(sort="name", limit=1))) == [rows[2].id, rows[0].id, rows[1].id]
    assert ids(read_all(store, TableRequest(sort="-name", limit=1))) == [rows[0].id, rows[2].id, rows[1].id]


@pytest.mark.parametrize("token", ["x", "", "e30", "!!", "W10", "a" * 5000, "WzEsICJ4IiwgMCwgW1sxXSwgMSwgMV0sIG51bGxd"])
def test_a_token_that_is_none_is_a_clear_error(store: Store, token: str) -> None:
    with pytest.raises(InvalidInput, match="begin with the first page"):
        read_table(store, TableRequest(after=token), NOW)


def test_a_token_of_another_table_is_refused(store: Store) -> None:
    store.queue.add_trainings([a_training() for _ in range(3)])
    token = read_table(store, TableRequest(limit=1), NOW).next
    for request in (TableRequest(sort="name", after=token), TableRequest("cat", after=token)):
        with pytest.raises(InvalidInput, match="another filter or order"):
            read_table(store, request, NOW)
    assert len(read_table(store, TableRequest(columns="name", after=token), NOW).rows) == 2


def test_the_time_limit_ends_a_page_which_goes_on_where_it_ended(store: Store) -> None:
    rows = [a_training(name="cat" if n % 400 == 0 else None) for n in range(1000)]
    store.queue.add_trainings(rows)
    ticks = count()
    request, found, pages = TableRequest("name:cat*", limit=2, seconds=3.0), list[str](), 0
    while True:
        page = read_table(store, request, NOW, clock=lambda: next(ticks))
        found += [row.id for row in page.rows]
        pages += 1
        assert page.complete == (page.next is None or len(page.rows) == 2)
        if page.next is None:
            break
        request = TableRequest("name:cat*", limit=2, after=page.next, seconds=3.0)
    assert found == [row.id for row in reversed(rows) if row.name]
    assert pages > 3


def test_a_sort_without_an_index_says_that_it_saw_a_part_and_pages_through_that_part(store: Store) -> None:
    rows = [a_training(evaluation={"val_loss": float(n % 97)}) for n in range(600)]
    store.queue.add_trainings(rows)
    ticks = count()
    request, pages = TableRequest(sort="val_loss", limit=100, seconds=4.0), list[TablePage]()
    while True:
        pages.append(read_table(store, request, NOW, clock=lambda: next(ticks)))
        assert not pages[-1].complete
        if pages[-1].next is None:
            break
        request = TableRequest(sort="val_loss", limit=100, after=pages[-1].next, seconds=1e9)
    newest = rows[-pages[0].scanned + 1 :]
    assert sorted(ids(pages)) == sorted(row.id for row in newest)
    assert [row.cells for row in pages[0].rows] == sorted(
        (row.cells for row in pages[0].rows), key=lambda c: str(c[4]).zfill(6)
    )


def test_a_damaged_document_is_named_and_hides_no_other(store: Store) -> None:
    rows = [a_training() for _ in range(5)]
    store.queue.add_trainings(rows)
    for row, arrival in ((rows[1], None), (rows[2], "late")):
        primitives(store).insert("trainings", [{**a_training().to_document(), "arrival": arrival, "name": row.name}])
    primitives(store).insert("trainings", [{**a_training().to_document(), "priority": "high"}])
    page = read_table(store, TableRequest(limit=10), NOW)
    assert ids([page]) == [row.id for row in reversed(rows)]
    assert len(page.unreadable) == 3


def test_what_an_index_finds_by_a_bare_word_is_shown_before_all_was_looked_at(store: Store) -> None:
    old = a_training(name="needle")
    store.queue.add_trainings([old, *(a_training() for _ in range(500))])
    ticks = count()
    page = read_table(store, TableRequest("needle", seconds=1.0), NOW, clock=lambda: next(ticks))
    assert (page.complete, [row.id for row in page.rows], [row.id for row in page.hits]) == (False, [], [old.id])
    page = read_table(store, TableRequest(old.id[:8], seconds=0.5), NOW, clock=lambda: next(ticks))
    assert [row.id for row in page.hits] == [old.id]
    page = read_table(store, TableRequest("needle"), NOW)
    assert ([row.id for row in page.rows], page.hits) == ([old.id], [])


def test_a_limit_is_refused_that_would_hold_too_much(store: Store) -> None:
    for limit in (0, 1001):
        with pytest.raises(InvalidInput, match="from 1 to 1000"):
            read_table(store, TableRequest(limit=limit), NOW)
