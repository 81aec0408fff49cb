"""Observes a pass: the jobs, the head of the queue, what is active, and the clusters; never the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from mitorch_service.backends.base import Backend, Capacity, RunStatus
from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.notify.wanted import NOTHING, Wanted
from mitorch_service.controller.observe.job_state import observe_job
from mitorch_service.controller.observe.withheld_data import read_datasets, withheld_data
from mitorch_service.controller.pass_report import PassCount
from mitorch_service.controller.plan.cluster_backoff import ClusterBackoff, setbacks
from mitorch_service.controller.plan.placement import Cluster, Placer, hosts_of
from mitorch_service.controller.plan.plan import in_order
from mitorch_service.controller.plan.snapshot import JobState, Snapshot
from mitorch_service.errors import BrokenDocument
from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.models.dataset import Dataset
from mitorch_service.models.status import OPEN
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Listing

_CLUSTER_SECONDS = 30.0  # for one cluster's capacity, or the status of all its runs, if there are several clusters
_HEAD_A_PASS = 100  # trainings at the head of the queue that a pass reads, at least, if some need certain clusters
_MOST_A_PASS = 3000  # that it reads while nodes are free that none of those before can use
_READS_OF_A_HEAD = 5
_HEAD_BY_ROOM = 4  # or this many times the free nodes, if that is more
_HEAD_BEHIND = 1000  # where some wait for data that no run can read
_MOST_DATASETS = 1000  # whose own heads are read behind these


class Observation:
    """Reads the store and calls the clusters. Puts aside documents that cannot be read, so that they block nothing."""

    def __init__(
        self,
        store: Store,
        backends: Mapping[str, Backend],
        facts: Mapping[str, Cluster],
        events: EventLog,
        wanted: Wanted = NOTHING,
    ) -> None:
        self._store = store
        self._wanted = wanted
        self._backends = backends
        self._facts = facts
        self._events = events

    def snapshot(self, now: datetime) -> Snapshot:
        """Reads the jobs before the queue, and the queue before what is active, in the direction in which trainings
        move: one that another pass moves meanwhile may be seen twice, which the guards resolve, but is never missed."""
        names = frozenset(self._backends)
        jobs: list[JobState] = []
        partial = True
        with self._events.collect_errors("reading the jobs"):
            jobs, partial = self._read_jobs(now)
        capacities = self._read_capacities()
        seen = Snapshot(configured=names, jobs=jobs, facts=self._facts, partial=True)  # no node is known to be free
        with self._events.collect_errors("reading the queue"):
            queue, datasets = self._read_queue(capacities, now)
            active = self._usable(self._store.queue.active_trainings(), now)
            runs = self._read_runs(active, capacities)
            datasets |= read_datasets(self._store, (state.job.dataset for state in jobs))
            hosts, withheld = self._hosts(datasets), withheld_data(datasets, now)
            seen = Snapshot(queue, active, runs, capacities, names, jobs, self._facts, hosts, withheld, partial)
        return seen

    def _read_jobs(self, now: datetime) -> tuple[list[JobState], bool]:
        """The active jobs, and whether some could not be observed."""
        jobs = self._store.jobs.active_jobs()
        for broken in jobs.broken:
            with self._events.collect_errors(f"setting aside job {broken.key}"):
                self._store.jobs.quarantine_job(broken.key, now, broken.reason, self._wanted.jobs)
                self._events.note_failure(_set_aside("job", broken), PassCount.JOBS_ENDED)
        states = []
        for job in jobs.items:
            with self._events.collect_errors(f"job {job.id}"):
                states.append(observe_job(self._store, job, now, self._events))
        return states, len(states) < len(jobs.items)

    def _read_capacities(self) -> dict[str, Capacity]:
        calls = {name: backend.capacity for name, backend in self._backends.items()}
        return self._events.call_clusters(calls, _CLUSTER_SECONDS)

    def _read_queue(
        self, capacities: Mapping[str, Capacity], now: datetime
    ) -> tuple[list[TrainingRow], dict[str, Dataset]]:
        """One training more than there are free nodes, which is enough if each may go anywhere, and their data sets. If
        some may not, others behind them might: then as many more as keep the cost of a pass bounded."""
        room = sum(capacity.free for capacity in capacities.values())
        queue = self._read_head(room + 1, now)
        datasets = read_datasets(self._store, (row.dataset for row in queue))
        withheld = withheld_data(datasets, now)
        waits = any(str(row.dataset) in withheld or _was_refused_its_data(row) for row in queue)
        if not 0 < room < len(queue) or (not waits and not any(map(_is_bound, queue))):
            return queue, datasets
        limit = max(_HEAD_BEHIND if waits else _HEAD_A_PASS, _HEAD_BY_ROOM * room)
        queue = self._read_head(limit, now)
        datasets = read_datasets(self._store, (row.dataset for row in queue))
        if len(queue) < limit:
            return queue, datasets
        behind, datasets = self._heads_of_datasets(datasets, room, now) if waits else ([], datasets)
        return self._read_on(queue, behind, datasets, capacities, now)

    def _read_on(
        self,
        queue: list[TrainingRow],
        behind: list[TrainingRow],
        datasets: dict[str, Dataset],
        capacities: Mapping[str, Capacity],
        now: datetime,
    ) -> tuple[list[TrainingRow], dict[str, Dataset]]:
        """Reads on, each time as many again, while nodes are free that none of those read can use."""
        active = self._store.queue.active_trainings().items
        free = {name: capacity.free for name, capacity in capacities.items()}
        while (limit := min(len(queue), _MOST_A_PASS - len(queue))) > 0:
            rows = in_order([*queue, *behind])
            backoff = ClusterBackoff(now, rows, active)
            placer = Placer(self._facts, capacities, free, {}, backoff, withheld_data(datasets, now))
            if not placer.leaves_room(rows):
                break
            page = self._usable(self._store.queue.queue_head(limit, queue[-1]), now)
            queue = [*queue, *page]
            datasets |= read_datasets(self._store, (row.dataset for row in page))
            if len(page) < limit:
                break
        return in_order([*queue, *behind]), datasets

    def _heads_of_datasets(
        self, datasets: dict[str, Dataset], room: int, now: datetime
    ) -> tuple[list[TrainingRow], dict[str, Dataset]]:
        """The head of each registered data set that runs may read, and of what needs none, however many trainings of
        others are before it."""
        registered = self._store.datasets.list_datasets().items[:_MOST_DATASETS]
        datasets = {str(dataset.ref): dataset for dataset in registered} | datasets
        withheld = withheld_data(datasets, now)
        refs = [NO_DATASET, *(dataset.ref for dataset in registered if str(dataset.ref) not in withheld)]
        heads = (self._store.queue.head_of_dataset(ref, room + 1) for ref in refs)
        return [row for head in heads for row in self._usable(head, now)], datasets

    def _read_head(self, limit: int, now: datetime) -> list[TrainingRow]:
        """The next trainings; read again where unreadable ones have taken the places of others, but not for ever."""
        for _ in range(_READS_OF_A_HEAD):
            head = self._store.queue.queue_head(limit)
            seen = len(head.items) + len(head.broken)
            queue = self._usable(head, now)
            if len(queue) == seen or seen < limit:
                break
        return queue

    def _read_runs(
        self, active: Sequence[TrainingRow], capacities: Mapping[str, Capacity]
    ) -> dict[str, RunStatus | None]:
        """The runs of the active trainings, by name, on the clusters that answered."""
        names: dict[str, list[str]] = {cluster: [] for cluster in capacities}
        for training in active:
            attempt = training.current_attempt()
            if attempt is not None and attempt.cluster in names:
                names[attempt.cluster].append(attempt.run_name)
        calls = {cluster: partial(self._backends[cluster].describe, names[cluster]) for cluster in capacities}
        runs: dict[str, RunStatus | None] = {}
        for found in self._events.call_clusters(calls, _CLUSTER_SECONDS).values():
            runs |= found
        return runs

    def _hosts(self, datasets: Mapping[str, Dataset]) -> dict[str, frozenset[str]]:
        """The hosts of each data set's files, needed only if some cluster has data near it."""
        if not any(cluster.data for cluster in self._facts.values()):
            return {}
        return {name: hosts_of(dataset) for name, dataset in datasets.items()}

    def _usable(self, listing: Listing[TrainingRow], now: datetime) -> list[TrainingRow]:
        """The trainings without those that cannot be read or contradict themselves, which are put aside."""
        usable, broken = [], listing.broken
        for training in listing.items:
            strange = training.status not in OPEN  # an index and its document disagree
            reason = f"it is {training.status} where the index says otherwise" if strange else training.contradiction()
            if reason is None:
                usable.append(training)
            else:
                broken.append(BrokenDocument("training", training.id, reason))
        for document in broken:
            with self._events.collect_errors(f"setting aside training {document.key}"):
                announced = self._wanted.trainings or self._wanted.trials
                self._store.queue.quarantine_training(document.key, now, document.reason, announced)
                self._events.note_failure(_set_aside("training", document), PassCount.FAILED)
        return usable


def _is_bound(row: TrainingRow) -> bool:
    """Whether it cannot go to every cluster."""
    return row.resources is not None or bool(setbacks(row))


def _was_refused_its_data(row: TrainingRow) -> bool:
    return any(attempt.of_data for attempt in setbacks(row))


def _set_aside(kind: str, document: BrokenDocument) -> str:
    remedy = f"micontrol repair {document.key}, or micontrol delete {document.key}"
    return f"{kind} {document.key} failed: its document cannot be read: {document.reason}. See {remedy}"
