"""Observes a pass: the jobs, the head of the queue, what is active, and the clusters; never the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from mitorch_service.backends.base import Backend, Capacity, RunStatus
from mitorch_service.backends.optional import LiveRun, RunListing
from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.notify.wanted import NOTHING, Wanted
from mitorch_service.controller.observe.ended import RECORDED, read_ended
from mitorch_service.controller.observe.job_state import observe_job
from mitorch_service.controller.observe.late_trials import late_trials
from mitorch_service.controller.observe.live_runs import read_leaks
from mitorch_service.controller.observe.share_usage import ShareLedger
from mitorch_service.controller.observe.withheld_data import read_datasets, withheld_data
from mitorch_service.controller.pass_report import PassCount
from mitorch_service.controller.plan.cluster_backoff import ClusterBackoff, setbacks
from mitorch_service.controller.plan.placing.duration_bounds import DurationBounds
from mitorch_service.controller.plan.placing.head_limits import MOST_A_PASS, far_limit, limit_of_share, some_are_bound
from mitorch_service.controller.plan.placing.order_of_service import in_order
from mitorch_service.controller.plan.placing.placement import Cluster, Placer, hosts_of
from mitorch_service.controller.plan.snapshot import JobState, Snapshot
from mitorch_service.errors import BrokenDocument, NewerDocument
from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.models.dataset import Dataset
from mitorch_service.models.fair_share.share import By
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import OPEN
from mitorch_service.models.training import TrainingRow
from mitorch_service.placement_settings.policy import FIRST_COME, Policy
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Listing

_CLUSTER_SECONDS = 30.0  # for one cluster's capacity, or the status of all its runs
_READS_OF_A_HEAD = 5
_BEHIND_NEWER = 4  # trainings to read for each that is left to a newer controller
_HEAD_BEHIND = 1000  # where some wait for data that no run can read
_MOST_SHARES = 1000
_RECOUNTS = 100  # ended jobs, the trials of which are counted again
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
        policy: Policy = FIRST_COME,
        ledger: ShareLedger | None = None,
    ) -> None:
        self._store = store
        self._wanted = wanted
        self._backends = backends
        self._facts = facts
        self._events = events
        self._policy = policy
        self._ledger = ledger
        self._told: set[str] = set()

    def snapshot(self, now: datetime) -> Snapshot:
        """Reads the jobs before the queue, and the queue before what is active, in the direction in which trainings
        move: one that another pass moves meanwhile may be seen twice, which the guards resolve, but is never missed."""
        names = frozenset(self._backends)
        jobs: list[JobState] = []
        partial = True
        with self._events.collect_errors("reading the jobs"):
            jobs, partial = self._read_jobs(now)
        recounts: list[Job] = []
        with self._events.collect_errors("reading the jobs that ended"):
            recounts = self._read_recounts(now)
        capacities = self._read_capacities()
        # No node is known to be free.
        seen = Snapshot(configured=names, jobs=jobs, facts=self._facts, recounts=recounts, partial=True)
        with self._events.collect_errors("reading the queue"):
            queue, datasets = self._read_queue(capacities, now)
            if self._policy.fair_share is not None:
                queue, datasets = self._heads_of_shares(self._policy.fair_share.by, queue, datasets, capacities, now)
            live = self._read_live_runs(capacities)
            active = self._usable(self._store.queue.active_trainings(), now)
            runs = self._read_runs(active, capacities)
            datasets |= read_datasets(self._store, (state.job.dataset for state in jobs))
            seen = Snapshot(
                queue,
                active,
                runs,
                capacities,
                names,
                jobs,
                self._facts,
                self._hosts(datasets),
                late_trials(self._store, queue, jobs),
                recounts,
                withheld_data(datasets, now),
                leaks=read_leaks(self._store, now, live, active, self._facts),
                policy=self._policy,
                usage=None if self._ledger is None else self._ledger.read(now, active),
                bounds=self._read_bounds(queue),
                partial=partial,
            )
        return seen

    def _read_jobs(self, now: datetime) -> tuple[list[JobState], bool]:
        """The active jobs, and whether some could not be observed."""
        jobs = self._store.jobs.active_jobs()
        ours = self._without_newer("jobs", jobs.broken)
        for broken in ours:
            with self._events.collect_errors(f"setting aside job {broken.key}"):
                self._store.jobs.quarantine_job(broken.key, now, broken.reason, self._wanted.jobs)
                self._events.note_failure(_set_aside("job", broken), PassCount.JOBS_ENDED)
        states = []
        for job in jobs.items:
            with self._events.collect_errors(f"job {job.id}"):
                states.append(observe_job(self._store, job, now, self._events))
        return states, len(states) < len(jobs.items) + len(jobs.broken) - len(ours)

    def _read_recounts(self, now: datetime) -> list[Job]:
        found = self._store.recounts.due(now, _RECOUNTS)
        for broken in self._without_newer("jobs", found.broken):
            self._store.recounts.forget(broken.key)
        return found.items

    def _read_capacities(self) -> dict[str, Capacity]:
        for backend in self._backends.values():
            backend.load()
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
        if not 0 < room < len(queue) or (not waits and not some_are_bound(queue)):
            return queue, datasets
        limit = far_limit(room, _HEAD_BEHIND) if waits else far_limit(room)
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
        while (limit := min(len(queue), MOST_A_PASS - len(queue))) > 0:
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

    def _heads_of_shares(
        self,
        by: By,
        queue: list[TrainingRow],
        datasets: dict[str, Dataset],
        capacities: Mapping[str, Capacity],
        now: datetime,
    ) -> tuple[list[TrainingRow], dict[str, Dataset]]:
        """The head of the queue of each user or team, however many trainings of others are before it."""
        room = sum(capacity.free for capacity in capacities.values())
        if not 0 < room < len(queue):
            return queue, datasets  # these are all that wait, or nothing can start
        shares = self._store.queue.waiting_shares(by, _MOST_SHARES)
        limit = limit_of_share(room, len(shares), queue)
        heads = (self._store.queue.head_of_share(by, share, limit) for share in shares)
        queue = in_order([*queue, *(row for head in heads for row in self._usable(head, now))])
        return queue, datasets | read_datasets(self._store, (row.dataset for row in queue))

    def _read_bounds(self, queue: Sequence[TrainingRow]) -> DurationBounds | None:
        """The bounds of recorded durations, if nodes may be reserved and used meanwhile."""
        if not self._policy.backfill or not any(row.resources and row.resources.nodes > 1 for row in queue):
            return None
        return DurationBounds(read_ended(self._store, RECORDED))

    def _read_head(self, limit: int, now: datetime) -> list[TrainingRow]:
        """The next trainings; read again where unreadable ones have taken the places of others, but not for ever."""
        wanted = limit
        for _ in range(_READS_OF_A_HEAD):
            head = self._store.queue.queue_head(wanted)
            seen = len(head.items) + len(head.broken)
            newer = sum(isinstance(one, NewerDocument) for one in head.broken)
            queue = self._usable(head, now)
            if len(queue) == seen or seen < wanted or len(queue) >= limit:
                break
            wanted = max(limit, min(limit + _BEHIND_NEWER * newer, MOST_A_PASS))
        return queue[:limit]

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

    def _read_live_runs(self, capacities: Mapping[str, Capacity]) -> dict[str, list[LiveRun]]:
        """The runs of the clusters that answered, of those that can list them."""
        listing = {name: one for name in capacities if isinstance(one := self._backends[name], RunListing)}
        calls = {name: backend.live_runs for name, backend in listing.items()}
        return self._events.call_clusters(calls, _CLUSTER_SECONDS)

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
        for document in self._without_newer("trainings", broken):
            with self._events.collect_errors(f"setting aside training {document.key}"):
                announced = self._wanted.trainings or self._wanted.trials
                self._store.queue.quarantine_training(document.key, now, document.reason, announced)
                self._events.note_failure(_set_aside("training", document), PassCount.FAILED)
        return usable

    def _without_newer(self, kind: str, broken: Sequence[BrokenDocument]) -> list[BrokenDocument]:
        """Leaves out those that a newer version wrote, which stay as they are, and tells of them once in a pass."""
        newer = [one for one in broken if isinstance(one, NewerDocument)]
        if newer and kind not in self._told:
            self._told.add(kind)
            self._events.note_failure(f"{kind} of a newer version are left to its controllers: {newer[0]}")
        return [one for one in broken if not isinstance(one, NewerDocument)]


def _was_refused_its_data(row: TrainingRow) -> bool:
    return any(attempt.of_data for attempt in setbacks(row))


def _set_aside(kind: str, document: BrokenDocument) -> str:
    remedy = f"micontrol repair {document.key}, or micontrol delete {document.key}"
    return f"{kind} {document.key} failed: its document cannot be read: {document.reason}. See {remedy}"
