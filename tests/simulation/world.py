"""A small service in a bad world: a database, two clusters, controllers and runs under one scheduler."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.controller.loop import Controller
from mitorch_service.controller.pass_report import PassReport
from mitorch_service.controller.plan.leaked_runs import SETTLES
from mitorch_service.errors import BrokenDocument, StoreUnavailable
from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.models.new_training import new_training
from mitorch_service.models.search.job import Job, SearchConfig
from mitorch_service.models.status import ACTIVE_JOBS, ENDED, JobStatus
from mitorch_service.models.training import Training, run_of
from mitorch_service.stores.base import Store
from mitorch_service.stores.primitives import Primitives
from mitorch_service.stores.requests import Query
from tests.samples import NOW
from tests.simulation.choices import Choices
from tests.simulation.memory_artifacts import MemoryArtifacts
from tests.simulation.scheduler import Fate, Process, Scheduler, Violation
from tests.simulation.simulated_cluster import ClusterClient, Run, RunProcess, SimulatedCluster, call_in_turn
from tests.simulation.simulated_database import SimulatedDatabase
from tests.simulation.simulated_script import SimulatedRuns
from tests.simulation.witness import PassProcess, Witness

EVERY = 60.0  # seconds between passes
OFFSETS = (0.0, 0.0, 0.0, 300.0, -300.0, 3600.0, -3600.0)  # of clocks, seconds
_FACTS = (
    LocalCluster(name="one", price=1.0, cancel_leaks_after=900.0),
    LocalCluster(name="two", price=2.0, cancel_leaks_after=900.0),
)
_EPOCHS = 2
_MOST_PASSES_TO_SET_ASIDE = 20
_SCRIPT: dict[str, Any] = {"script": {"command": ["train"]}, "max_epochs": _EPOCHS}
_SPACE = {"lr": {"_loguniform": [1e-3, 1e-1]}}
_SEARCHES: tuple[dict[str, Any], ...] = (
    {"algorithm": "random", "max_concurrent": 2},
    {"algorithm": "random", "early_stopping": {"min_epochs": 1}},
    {"algorithm": "random", "resume_promoted": True, "early_stopping": {"min_epochs": 1}, "max_concurrent": 2},
)


@dataclass
class Trouble:
    """The troubles of the moment, each until a time."""

    database: float = 0.0  # does not answer
    throttled: float = 0.0  # refuses 34 % of the calls
    storage: float = 0.0  # artifacts and disks cannot be written
    no_second: float = 0.0  # the second cluster is missing from the settings
    omitted: float = 0.0  # answers lack runs


@dataclass
class PassCounts:
    """Passes that came to their end."""

    done: int = 0  # without an error
    calm: int = 0  # that came to their end since nothing goes wrong, with errors or without


class World:
    """Everything that there is; `World.violated` raises what must not be."""

    def __init__(self, choices: Choices, database: Primitives) -> None:
        """`database`: an empty one."""
        self.choices = choices
        self.scheduler = Scheduler()
        self.witness = Witness(self.scheduler)
        self.trouble = Trouble()
        self.quiet = False  # whether nothing goes wrong any more
        self.database = SimulatedDatabase(database, self.scheduler, self.witness, self._refusal)
        self.inner = database
        self.store = Store(self.database)
        self.artifacts = MemoryArtifacts(self.scheduler, lambda: self.scheduler.now < self.trouble.storage)
        self.runs = SimulatedRuns(
            self.scheduler, self.witness, self.store, self.artifacts, lambda: self.scheduler.now < self.trouble.storage
        )
        self.clusters = {
            "one": SimulatedCluster("one", 2, False, self.scheduler, self._execute),
            "two": SimulatedCluster("two", 1, True, self.scheduler, self._execute),
        }
        self.passes = PassCounts()
        self.jobs: list[str] = []
        self.own: set[str] = set()  # trainings that are no trials
        self.poisoned_jobs: set[str] = set()
        self.orphans: dict[str, float] = {}
        self._patches = ExitStack()
        self.witness.is_live = self._is_live
        self._arrivals = 1_700_000_000_000_000
        self._ids = 0
        self._populate()
        self.scheduler.at(1.0, self._timer)

    # What there is

    def submit(self, priority: int = 100) -> None:
        """A person queues a training."""
        parameters = {"lr": 0.02, "fails": self.choices.below(3) if self.choices.one_in(3) else 0}
        config = {**_SCRIPT, "parameters": parameters, "max_retries": 1}
        if self.choices.one_in(5):
            config["resources"] = {"cluster": ["two"]}
        training = new_training(
            self._new_id(), config, NO_DATASET, self.time(), self._next_arrival(), priority=priority
        )
        self.own.add(training.id)
        self.store.queue.add_trainings([training])

    def submit_job(self) -> None:
        """A person queues a search."""
        search = {"max_trials": 3, "seed": 1, **_SEARCHES[self.choices.below(len(_SEARCHES))]}
        job = Job(
            id=self._new_id(),
            status=JobStatus.NEW,
            arrival=self._next_arrival() + 1000,
            created_at=self.time(),
            dataset=NO_DATASET,
            config={**_SCRIPT, "max_epochs": 3, "parameters": _SPACE},
            search=SearchConfig.model_validate(search),
        )
        self._arrivals += 2000
        self.witness.max_trials[job.id] = job.search.max_trials
        self.jobs.append(job.id)
        self.store.jobs.add_job(job)

    def start_pass(self) -> None:
        """A controller begins a pass."""
        process = PassProcess("pass", self._offset())
        self.witness.note("a pass begins")
        self.scheduler.start(process, lambda: self._pass(process))

    def live_runs(self) -> list[Run]:
        """The runs that have a process, as their clusters or the truth have it."""
        return [r for c in self.clusters.values() for r in c.runs.values() if r.process and not r.process.dead]

    def is_still(self) -> bool:
        """Whether no run goes on, but for those that are stopped for good where their cluster cannot reach them."""
        runs = [run for cluster in self.clusters.values() for run in cluster.runs.values()]
        return not any(run.live for run in runs) and all(run.process and run.process.hung for run in self.live_runs())

    def processes(self) -> list[Process]:
        """The processes that live."""
        found = {id(thread.process): thread.process for thread in self.scheduler.ready}
        return [process for process in found.values() if not process.dead]

    def time(self) -> datetime:
        """The true time."""
        return NOW + timedelta(seconds=self.scheduler.now)

    def all_ended(self) -> bool:
        """Whether nothing is open any more."""
        if any(known.status not in _ENDED for known in self.witness.trainings.values()):
            return False
        active = self.store.jobs.active_jobs()
        return not active.items and not active.broken

    def some_are_recounted(self) -> bool:
        """Whether the trials of a search that has ended will be counted again."""
        found = self.inner.find(Query("jobs", {"_id": tuple(self.jobs)})) if self.jobs else ()
        return any(document.get("recount_due") is not None for document in found)

    def violated(self, text: str) -> Violation:
        """Returns the violation of a promise."""
        return self.witness.violated(text)

    def poison(self, id: str, field: str, value: object) -> None:
        """Somebody writes nonsense into a document."""
        known = self.witness.trainings[id]
        known.poisoned = True
        self.witness.note(f"training {id[:8]}: {field} is set to {value!r}")
        found = next(iter(self.inner.find(Query("trainings", {"_id": id}))))
        self.inner.replace("trainings", {**found, field: value})

    def poison_job(self, id: str, field: str, value: object) -> None:
        """Somebody writes nonsense into the document of a search."""
        self.poisoned_jobs.add(id)
        self.witness.note(f"job {id[:8]}: {field} is set to {value!r}")
        found = next(iter(self.inner.find(Query("jobs", {"_id": id}))))
        self.inner.replace("jobs", {**found, field: value})

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self.witness.note("from here on nothing goes wrong")
        self.quiet = True
        self.trouble = Trouble()
        for cluster in self.clusters.values():
            cluster.down_until = cluster.refuses_until = 0.0

    def check_orphans(self, report: PassReport) -> None:
        """No run goes on for more than two passes without a training that knows it, or a report that it does."""
        told = {leak.run_name for leak in report.snapshot.leaks}
        for cluster in self.clusters.values():
            for run in cluster.runs.values():
                if not run.live or run.name in told or self._is_tracked(run):
                    self.orphans.pop(run.name, None)
                    continue
                since = self.orphans.setdefault(run.name, self.scheduler.now)
                if self.scheduler.now - since > SETTLES.total_seconds() + 2 * EVERY + 1:
                    raise self.violated(f"{run.name} goes on, and nobody is told")

    def _check_set_aside(self) -> None:
        """A document that cannot be read stays in nobody's way."""
        stuck = [k for k in self.witness.trainings.values() if k.poisoned and k.status not in _ENDED]
        if stuck and self.passes.calm > _MOST_PASSES_TO_SET_ASIDE:
            raise self.violated(f"training {stuck[0].id} cannot be read, and is {stuck[0].status} still")
        jobs = [id for id in self.poisoned_jobs if self.job_status(id) in ACTIVE_JOBS and not self.is_readable(id)]
        if jobs and self.passes.calm > _MOST_PASSES_TO_SET_ASIDE:
            raise self.violated(f"job {jobs[0]} cannot be read, and has not ended")

    def is_readable(self, id: str) -> bool:
        """Whether a search can be read, again perhaps: a pass that had read it before may have written that field."""
        try:
            Store(self.inner).jobs.get_job(id)
        except BrokenDocument:
            return False
        return True

    def job_status(self, id: str) -> str:
        """The status of a search, whose document may be damaged."""
        return str(next(iter(self.inner.find(Query("jobs", {"_id": id}))))["status"])

    def _is_tracked(self, run: Run) -> bool:
        id, attempt = run_of(run.name) or ("", 0)
        known = self.witness.trainings[id]
        return known.status in ("queued", "running") and known.attempt == attempt

    def open_things(self) -> str:
        """Names what has not ended, for a person."""
        trainings = [f"{k.id[:8]} {k.status} a{k.attempt}" for k in self.witness.trainings.values()]
        held = [run for cluster in self.clusters.values() for run in cluster.runs.values() if run.live]
        runs = [f"{run.name[3:11]} {run.name[-2:]} {run.state}" for run in [*held, *self.live_runs()]]
        return f"{trainings}, {runs}, jobs {[job.status.value for job in self.store.jobs.active_jobs().items]}"

    def replace(self, target: object, name: str, value: object) -> None:
        """Puts something else in the place of a part of the code, until this world is closed: for mutants."""
        self._patches.enter_context(patch.object(target, name, value))

    def close(self) -> None:
        """Ends all processes."""
        self._patches.close()
        self.scheduler.failed = self.scheduler.failed or Violation("over")
        for run in self.live_runs():
            assert run.process is not None
            run.process.on_end = lambda: None
        for process in self._all_processes:
            process.on_end = lambda: None
            self.scheduler.kill(process)

    # What happens by itself

    def _populate(self) -> None:
        self._all_processes: list[Process] = []
        for _ in range(2 + self.choices.below(3)):
            self.submit(100 - self.choices.below(3))
        if self.choices.one_in(2):
            self.submit_job()

    def _is_live(self, name: str) -> bool:
        runs = [cluster.runs[name] for cluster in self.clusters.values() if name in cluster.runs]
        return any(run.live for run in runs)

    def _timer(self) -> None:
        self.start_pass()
        self.scheduler.after(EVERY, self._timer)

    def _pass(self, process: PassProcess) -> None:
        self._all_processes.append(process)
        process.queue = self.witness.queue_now()
        names = ["one"] if self.scheduler.now < self.trouble.no_second else ["one", "two"]
        clients = {name: ClusterClient(self.clusters[name], self.scheduler, self._omits) for name in names}
        facts = [fact for fact in _FACTS if fact.name in clients]
        controller = Controller(self.store, clients, facts, self.artifacts, call_all=call_in_turn)
        try:
            report = controller.tick(self.store.now(), self._in_time)
        except StoreUnavailable:
            self.witness.note("the pass ends: the database is away")
            return
        for event in report.events:
            self.witness.note(event.text)
            if event.trace is not None:
                raise self.violated(f"a pass met an error that nobody foresaw: {event.trace}")
        self.witness.note("the pass is done")
        if self.quiet:
            self.passes.calm += 1
            self._check_set_aside()
        if report.complete and not any(event.failed for event in report.events):
            self.passes.done += 1
            if self.quiet:
                self.check_orphans(report)

    def _in_time(self) -> bool:
        return self.quiet or not self.choices.one_in(60)

    def _omits(self) -> bool:
        return self.scheduler.now < self.trouble.omitted and not self.quiet and self.choices.one_in(2)

    def _refusal(self) -> Fate | None:
        """Whether the database refuses a call. Of the 34 % when it throttles, most are as MongoDB's errors 16500 and
        112, which say that nothing was done, and some as 50: its time was over, whatever was done."""
        if self.scheduler.now < self.trouble.database:
            return Fate.FAILS_BEFORE
        if self.scheduler.now >= self.trouble.throttled:
            return None
        number = self.choices.below(100)
        return None if number < 66 else Fate.FAILS_BEFORE if number < 88 else Fate.FAILS_AFTER

    def _execute(self, run: Run) -> RunProcess:
        id, attempt = run.name.removeprefix("mt-").rsplit("-a", 1)
        process = RunProcess(self.scheduler, id, int(attempt), self._offset())
        self._all_processes.append(process)
        self.witness.note(f"run {run.name[:11]} a{attempt} begins")
        self.runs.start(process)
        return process

    def _offset(self) -> float:
        return OFFSETS[self.choices.below(len(OFFSETS))]

    def _next_arrival(self) -> int:
        self._arrivals += 1
        return self._arrivals

    def _new_id(self) -> str:
        self._ids += 1
        return str(uuid.UUID(int=(self._ids << 96) | 0x4000_8000_0000_0000_0000, version=4))

    def read(self, id: str) -> Training:
        """The document of a training."""
        return self.store.trainings.get_training(id)


_ENDED = frozenset(status.value for status in ENDED)
