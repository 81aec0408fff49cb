"""Every query that the product makes goes through an index, on both engines, and sorts nothing where it pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mitorch_service.errors import NotFound
from mitorch_service.models.base import new_id
from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.status import ENDED, TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Query
from mitorch_service.stores.verbs.tables import IndexOrder, IndexRange
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.fakes import primitives
from tests.samples import NOW, a_dataset, a_job, a_training, a_trial, later

pytestmark = pytest.mark.own_database

JOB = new_id()
NEW = TrainingStatus.NEW
AFTER = (1_700_000_000_000_500, "8")


def find_by_prefix(store: Store) -> None:
    with pytest.raises(NotFound):
        store.trainings.resolve_id("00000000-0000")


def find_damaged(store: Store) -> None:
    with pytest.raises(NotFound):
        store.damaged.find("00000000-0000")


def _tag(store: Store, id: str) -> None:
    with pytest.raises(NotFound):
        store.labels.change_tags("training", id, list)


TRAININGS = 10_000
COUNTERS = ("counts", "counts of a job")  # may be read where they are kept, without a query

READS: dict[str, Callable[[Store], Any]] = {
    "jobs that have ended": lambda store: store.jobs.ended_among([new_id()]),
    "one training": lambda store: primitives(store).read_one(Training, "trainings", new_id()),
    "queue head": lambda store: store.queue.queue_head(10),
    "queue head, read on": lambda store: store.queue.queue_head(10, a_training(priority=1, arrival=AFTER[0])),
    "head of a data set": lambda store: store.queue.head_of_dataset(DatasetRef(name="digits", version=1), 10),
    "head of scripts": lambda store: store.queue.head_of_dataset(NO_DATASET, 10),
    "shares that wait": lambda store: store.queue.waiting_shares("user", 10),
    "teams that wait": lambda store: store.queue.waiting_shares("team", 10),
    "head of a share": lambda store: store.queue.head_of_share("team", "7", 10),
    "use of shares": lambda store: store.usage.read_usage("user"),
    "trainings of other programs": lambda store: store.adoption.foreign_documents("training", 10),
    "jobs of other programs": lambda store: store.adoption.foreign_documents("job", 10),
    "strangers among trainings": lambda store: store.adoption.strangers("training", 10),
    "strangers among jobs": lambda store: store.adoption.strangers("job", 10),
    "active trainings": lambda store: store.queue.active_trainings(),
    "newest": lambda store: store.trainings.list_trainings(TrainingFilter(), 10),
    "newest, later page": lambda store: store.trainings.list_trainings(TrainingFilter(), 10, AFTER),
    "by status": lambda store: store.trainings.list_trainings(TrainingFilter(status=NEW), 10),
    "by status, later page": lambda store: store.trainings.list_trainings(TrainingFilter(status=NEW), 10, AFTER),
    "by job": lambda store: store.trainings.list_trainings(TrainingFilter(job_id=JOB), 10),
    "by job, later page": lambda store: store.trainings.list_trainings(TrainingFilter(job_id=JOB), 10, AFTER),
    "by data set": lambda store: store.trainings.list_trainings(TrainingFilter(dataset="digits"), 10),
    "by tag": lambda store: store.trainings.list_trainings(TrainingFilter(tag="team=a"), 10),
    "by name": lambda store: store.trainings.list_trainings(TrainingFilter(name="first"), 10),
    "names": lambda store: store.trainings.find_named("first"),
    "jobs by name": lambda store: store.jobs.list_jobs(10, "sweep"),
    "counts of a tag": lambda store: store.trainings.count_matches(TrainingFilter(tag="team=a")),
    "counts of a data set": lambda store: store.trainings.count_matches(TrainingFilter(dataset="digits")),
    "counts of a name": lambda store: store.trainings.count_matches(TrainingFilter(name="first")),
    "by data set, later page": lambda store: store.trainings.list_trainings(
        TrainingFilter(dataset="digits"), 10, AFTER
    ),
    "id prefix": find_by_prefix,
    "counts": lambda store: store.trainings.count_trainings(),
    "counts of a job": lambda store: store.trainings.count_trainings(JOB),
    "imported": lambda store: store.imports.imported([new_id(), new_id()]),
    "curve": lambda store: store.runs.curve(new_id()),
    "last record of a curve": lambda store: store.runs.last_result(new_id()),
    "last results": lambda store: store.runs.last_results(new_id(), 12),
    "records of a curve": lambda store: list(store.runs.curve_records(new_id())),
    "later records of a curve": lambda store: list(store.runs.curve_records(new_id(), 17)),
    "last trial": lambda store: store.jobs.last_trial_number(JOB, 0),
    "best trials": lambda store: store.jobs.best_trials(JOB, "minimize", 5),
    "best trials, maximized": lambda store: store.jobs.best_trials(JOB, "maximize", 5),
    "best trials, later page": lambda store: store.jobs.best_trials(JOB, "minimize", 5, (0.5, new_id())),
    "best trials, maximized, later page": lambda store: store.jobs.best_trials(JOB, "maximize", 5, (0.5, new_id())),
    "unmerged trials": lambda store: store.fronts.unmerged_trials(JOB, 10),
    "latest trials": lambda store: store.jobs.latest_trials(JOB, 10),
    "all trials": lambda store: list(store.jobs.iterate_trials(JOB)),
    "recent trainings": lambda store: store.jobs.recent_trainings("digits", 10),
    "standing": lambda store: store.rungs.standing(JOB, 0, 9, 0.5),
    "trials on a rung": lambda store: store.rungs.count_rung(JOB, 9),
    "best of a rung": lambda store: store.rungs.rung_records(JOB, 9, 10),
    "best that wait on a rung": lambda store: store.rungs.best_paused(JOB, 9, 10),
    "that wait on a rung": lambda store: store.rungs.count_rung(JOB, 9, paused=True),
    "any records of rungs": lambda store: store.rungs.some_rung_records(JOB, 10),
    "trainings by id": lambda store: store.rungs.rows_among([new_id()]),
    "open trials": lambda store: store.jobs.open_trials(JOB, 10),
    "ended jobs to count again": lambda store: store.recounts.due(NOW, 10),
    "active jobs": lambda store: store.jobs.active_jobs(),
    "jobs by tag": lambda store: list(store.jobs.tagged_jobs("team=a")),
    "newest ids": lambda store: store.trainings.ids_beginning("", 10),
    "names that begin so": lambda store: store.trainings.names_beginning("night", 10),
    "ids that begin so": lambda store: store.trainings.ids_beginning("00000000-0000", 10),
    "tags of a training": lambda store: _tag(store, a_training().id),
    "what was put back": lambda store: store.retention.present("training", [new_id(), new_id()]),
    "newest jobs": lambda store: store.jobs.list_jobs(10),
    "newest jobs, later page": lambda store: store.jobs.list_jobs(10, after=AFTER),
    "jobs by name, later page": lambda store: store.jobs.list_jobs(10, "sweep", AFTER),
    "newest version": lambda store: store.datasets.get_dataset(DatasetRef(name="digits")),
    "versions of a data set": lambda store: store.datasets.versions_of("digits", 10),
    "data sets": lambda store: store.datasets.list_datasets(),
    "versions": lambda store: store.datasets.read_versions([DatasetRef(name="digits", version=n) for n in (1, 2)]),
    "how many are ahead": lambda store: store.queue.count_ahead(a_training(priority=1, arrival=AFTER[0])),
    "costs": lambda store: next(store.costs.account_pages(AFTER[0])),
    "failures": lambda store: store.trainings.list_failures(TrainingStatus.FAILED, 10),
    "how many since": lambda store: store.costs.count_since(AFTER[0]),
    "costs of a job": lambda store: list(store.costs.account_pages(0, JOB)),
    "what ended": lambda store: store.retention.ended_page(TrainingStatus.FAILED, NOW, 10),
    "what ended, later page": lambda store: store.retention.ended_page(TrainingStatus.FAILED, NOW, 10, AFTER),
    "what is unchanged": lambda store: store.retention.unchanged([a_training(), a_training()]),
    "trials of a job": lambda store: store.retention.count_trials(JOB),
    "jobs that ended": lambda store: list(store.retention.ended_jobs(NOW)),
    "the last pass of a controller": lambda store: store.controllers.last_pass(),
    "marked trainings that ended": lambda store: store.notifications.ended_trainings(10),
    "marked jobs that ended": lambda store: store.notifications.ended_jobs(10),
    "notifications that wait": lambda store: store.notifications.waiting("ops", NOW, 10),
    "notifications of a webhook": lambda store: store.notifications.count("ops"),
    "states of webhooks": lambda store: store.notifications.webhook_states(["ops", "json"]),
    "conditions": lambda store: store.notifications.conditions(["condition:cluster.leak:gpu"]),
    "a document by the id that people write": find_damaged,
    "studies": lambda store: list(store.studies.study_jobs()),
    "one study": lambda store: store.studies.study_job("00000000-0000"),
    "some trials of a study": lambda store: list(store.studies.study_trials_among([new_id(), new_id()])),
    "trials of a study": lambda store: list(store.studies.study_trials(JOB)),
    "trials of a study, later page": lambda store: list(store.studies.study_trials(JOB, AFTER)),
    "callbacks": lambda store: store.callbacks.due_callbacks(NOW, 10),
    "callbacks, counted": lambda store: store.callbacks.count_callbacks(),
    "views": lambda store: store.views.list_views(),
}
PLACES: dict[IndexOrder, tuple[object, ...]] = {
    IndexOrder.ARRIVAL: AFTER,
    IndexOrder.PRIORITY: (100, *AFTER),
    IndexOrder.NAME: ("name 500", *AFTER),
    IndexOrder.VALUE: (0.5, AFTER[1]),
    IndexOrder.CREATED: (NOW, *AFTER),
    IndexOrder.ENDED: (NOW, *AFTER),
    IndexOrder.ID: (AFTER[1],),
}
RANGES = {
    "all": IndexRange(),
    "of a status": IndexRange(path="status", value="failed"),
    "of a job": IndexRange(path="job_id", value=JOB),
    "of a data set": IndexRange(path="dataset.name", value="digits"),
    "of a tag": IndexRange(path="tags", value="team=7"),
    "of a name": IndexRange(path="name", value="name 7"),
    "by priority": IndexRange(IndexOrder.PRIORITY, "status", "new"),
    "by name": IndexRange(IndexOrder.NAME),
    "by value": IndexRange(IndexOrder.VALUE, "job_id", JOB),
    "by creation": IndexRange(IndexOrder.CREATED, low=NOW, high=later(1)),
    "by end": IndexRange(IndexOrder.ENDED, low=NOW),
    "by id": IndexRange(IndexOrder.ID, low="0000", high="0000g"),
}


def _read_range(range: IndexRange, descending: bool, after: tuple[object, ...] | None) -> Callable[[Store], Any]:
    return lambda store: store.tables.rows(range, descending, 10, after)


for _name, _range in RANGES.items():
    for _descending in (False, True):
        for _page, _after in (("first page", None), ("later page", PLACES[_range.order])):
            READS[f"table, {_name}, {_page}, {_descending}"] = _read_range(_range, _descending, _after)


@pytest.mark.parametrize("database", ["sqlite", pytest.param("mongo", marks=pytest.mark.long)], indirect=True)
def test_every_read_of_many_trainings_uses_an_index_and_sorts_nothing(store: Store, asked: list[Query]) -> None:
    fill(store)
    wrong = []
    for name, read in READS.items():
        asked.clear()
        read(store)
        assert asked or name in COUNTERS
        plans = [(query, primitives(store).explain(query)) for query in asked]
        wrong += [f"{name}: {query}: {plan.text}" for query, plan in plans if plan.sorts or not plan.uses_index]
    assert wrong == []


def fill(store: Store) -> None:
    """Trainings in all statuses, ten data sets, a hundred tags, a job with trials, data sets and jobs."""
    trials = [a_trial(JOB, number, tags=["team=a"]) for number in range(150)]
    for number in range(150):
        store.rungs.record_rung(JOB, number, 1, 0, 9, number / 150, paused=number % 2 == 0)
    store.queue.add_trainings(trials)
    statuses = list(TrainingStatus)
    for begin in range(0, TRAININGS, 10_000):
        documents = []
        for number in range(begin, begin + 10_000):
            dataset = DatasetRef(name="digits" if number % 10 == 0 else f"set {number % 10}", version=1)
            name = f"name {number % 1000}" if number % 3 else None
            document = a_training(tags=[f"team={number % 100}"], dataset=dataset, name=name).to_document()
            status = statuses[number % len(statuses)]
            ended = {"ended_at": later(number)} if status in ENDED else {}
            documents.append({**document, "status": status.value, **ended})
        primitives(store).insert("trainings", documents)
    for version in range(30):
        store.datasets.add_dataset(a_dataset(version=version))
        store.jobs.add_job(a_job())
