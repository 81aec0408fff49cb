"""Tables on both engines: the orders of their indexes, pages in every order, times and views."""

from __future__ import annotations

import pytest

from mitorch_service.errors import NotFound
from mitorch_service.insights.tables.opening import TableRequest
from mitorch_service.insights.tables.table import read_table
from mitorch_service.models.saved_view import SavedView
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.tables import IndexOrder, IndexRange
from tests.fakes import primitives
from tests.samples import NOW, a_job, a_training, a_trial, later

SORTS = (
    "newest",
    "oldest",
    "name",
    "-name",
    "queue",
    "-priority",
    "created",
    "-created",
    "ended",
    "-ended",
    "-val_loss",
)


def fill(store: Store) -> list[Training]:
    statuses = list(TrainingStatus)
    rows = []
    for n in range(36):
        status = statuses[n % len(statuses)]
        rows.append(
            a_training(
                name=("cat", None, "Dog")[n % 3],
                status=status,
                status_times={"new": NOW, status: later(n // 4)},
                tags=[f"team={n % 2}", *(["both=1"] if n % 2 else [])],
                priority=100 - n % 2,
                created_at=later(n // 5),
                evaluation={"val_loss": n % 5 / 4} if n % 7 else None,
            )
        )
    store.queue.add_trainings(rows)
    return rows


@pytest.mark.parametrize("where", ["", "tag:team=1,both=1", "status:ended created:>=2026-11-20T12:30:17 -name:cat"])
def test_pages_of_every_order_are_the_table_in_both_directions(store: Store, where: str) -> None:
    fill(store)
    for sort in SORTS:
        whole = read_table(store, TableRequest(where, sort, limit=1000), NOW)
        assert len(whole.rows) == {"": 36, "tag:team=1,both=1": 18}.get(where, 12)
        pages, back = [read_table(store, TableRequest(where, sort, limit=13), NOW)], []
        while pages[-1].next is not None:
            pages.append(read_table(store, TableRequest(where, sort, limit=13, after=pages[-1].next), NOW))
        assert [row.id for page in pages for row in page.rows] == [row.id for row in whole.rows]
        page = pages[-1]
        while page.previous is not None:
            page = read_table(store, TableRequest(where, sort, limit=13, after=page.previous), NOW)
            back.append(page)
        before = [row.id for page in reversed(back) for row in page.rows]
        assert before == [row.id for page in pages[:-1] for row in page.rows], sort


def test_trials_by_their_value_and_their_jobs_by_name(store: Store) -> None:
    job = a_job(name="sweep")
    store.jobs.add_job(job)
    values = [0.5, None, 0.25, 0.75, 0.25]
    trials = [a_trial(job.id, n) for n in range(len(values))]
    trials = [
        one.model_copy(update={"trial": one.trial and one.trial.model_copy(update={"value": value})})
        for one, value in zip(trials, values, strict=True)
    ]
    store.queue.add_trainings([*trials, a_training()])
    for key in (job.id, job.id[:8], "sweep"):
        rows = read_table(store, TableRequest(f"job:{key}", "value", "value", limit=2), NOW)
        assert [row.cells[0] for row in rows.rows] == [0.25, 0.25]
    rest = read_table(store, TableRequest("job:sweep", "value", "trial", limit=9, after=rows.next and None), NOW)
    assert [row.cells[0] for row in rest.rows][2:] == [0, 3, 1]
    with pytest.raises(NotFound, match="miquery --jobs"):
        read_table(store, TableRequest("job:nothing"), NOW)


def test_the_time_of_an_end_is_kept_by_changes_and_forgotten_by_a_retry(store: Store) -> None:
    training = a_training()
    store.queue.add_trainings([training])

    def ended() -> list[str]:
        return [row["_id"] for row in store.tables.rows(IndexRange(IndexOrder.ENDED), True, 10)]

    assert ended() == []
    store.queue.request_cancel(training.id, later(5))
    assert ended() == [training.id]
    assert read_table(store, TableRequest("ended:2026-11-20T12:30:20", columns="ended"), NOW).rows[0].cells == [
        later(5)
    ]
    store.queue.retry_training(training.id, later(6))
    assert ended() == []
    assert read_table(store, TableRequest(sort="-ended", columns="ended"), NOW).rows[0].cells == [None]


def test_documents_of_an_earlier_version_get_the_time_of_their_end(mongo_store: Store) -> None:
    database = primitives(mongo_store)
    ended = a_training(status="failed", status_times={"failed": later(1)})
    old = {name: value for name, value in ended.to_document().items() if name != "ended_at"}
    database.insert("trainings", [old, a_training().to_document(), a_training(status="failed").to_document()])
    database._counts.set_version(1)  # type: ignore[attr-defined]
    database._prepared = False  # type: ignore[attr-defined]
    mongo_store.prepare()
    assert [row["_id"] for row in mongo_store.tables.rows(IndexRange(IndexOrder.ENDED), True, 10)] == [ended.id]


def test_views_are_saved_replaced_listed_and_removed(store: Store) -> None:
    for name, query in (("b", "sort=name"), ("a", "where=x"), ("b", "sort=-name")):
        store.views.save_view(SavedView(id=name, query=query, saved_at=NOW))
    assert [(view.id, view.query) for view in store.views.list_views().items] == [("a", "where=x"), ("b", "sort=-name")]
    assert store.views.get_view("b").saved_at == NOW
    store.views.remove_view("b")
    with pytest.raises(NotFound, match="miquery --views"):
        store.views.get_view("b")
