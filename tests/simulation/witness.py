"""Sees every write and checks it against what the service promises, at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mitorch_service.models.attempts.attempt_budgets import MAX_LOST_ATTEMPTS, MAX_REFUSED_ATTEMPTS
from mitorch_service.models.search.job import trial_id
from mitorch_service.models.status import ENDED, TRANSITIONS, AttemptOutcome, TrainingStatus
from mitorch_service.stores.requests import Guarded
from tests.simulation.scheduler import Process, Scheduler, Violation
from tests.simulation.simulated_cluster import RunProcess

_ENDED = frozenset(status.value for status in ENDED)
_ACTIVE = ("queued", "running")
_LIMITS = {AttemptOutcome.LOST: MAX_LOST_ATTEMPTS, AttemptOutcome.REFUSED: MAX_REFUSED_ATTEMPTS}
FAILURE = "ScriptFailed"


class PassProcess(Process):
    """The process of a controller that makes one pass."""

    def __init__(self, name: str, offset: float) -> None:
        super().__init__(name, offset)
        self.queue: dict[str, tuple[int, int]] = {}  # new trainings when it began: their priority and period as new


@dataclass
class Known:
    """A training as the last write left it."""

    id: str
    status: str
    arrival: int
    priority: int
    max_retries: int
    attempt: int = 0
    worker: str | None = None
    fence: int = 0
    cancel_asked: bool = False
    attempts: list[Mapping[str, Any]] = field(default_factory=list)
    budget_from: int = 0
    bound: bool = False
    periods: int = 1  # how often it was new, or moved in the queue
    retry_ordered: bool = False
    poisoned: bool = False

    def ended_as(self, outcome: AttemptOutcome) -> int:
        """Attempts since the last retry that ended so, but for preempted ones."""
        counted = self.attempts[self.budget_from :]
        return sum(one.get("outcome") == outcome and not one.get("preempted") for one in counted)


class Witness:
    """Everything that was written, and by whom."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.trainings: dict[str, Known] = {}
        self.records: dict[tuple[str, int], int] = {}  # (training, epoch) -> the attempt that has written it
        self.tracing: list[str] | None = None
        self.writes = 0
        self.max_trials: dict[str, int] = {}  # of each job
        self.is_live: Callable[[str], bool] = lambda run_name: False  # whether a cluster says that a run goes on

    def clock(self) -> float:
        """Returns the time of the machine that asks, in seconds."""
        thread = self._scheduler.current
        return self._scheduler.now + (0.0 if thread is None else thread.process.offset)

    def note(self, text: str) -> None:
        """Adds a line to the history, if somebody reads it."""
        if self.tracing is not None:
            thread = self._scheduler.current
            who = "world" if thread is None else thread.process.name
            self.tracing.append(f"{self._scheduler.now:8.0f} s  {who}: {text}")

    def violated(self, text: str) -> Violation:
        """Returns the violation of a promise."""
        self.note(f"VIOLATION: {text}")
        violation = Violation(text)
        self._scheduler.failed = self._scheduler.failed or violation
        return violation

    def inserted(self, collection: str, documents: Iterable[Mapping[str, Any]]) -> None:
        """Sees new documents."""
        if collection != "trainings":
            return
        for one in documents:
            self.note(f"training {_short(one['_id'])} is added")
            before = self.trainings.get(one["_id"])
            if before is not None:
                raise self.violated(f"training {before.id} was created twice")
            known = Known(one["_id"], one["status"], one["arrival"], one["priority"], one["max_retries"])
            known.bound = one.get("resources") is not None
            self.trainings[known.id] = known
            self._check_trial(one)

    def before_change(self, change: Guarded) -> None:
        """Learns the worker of a process from its first write."""
        process = self._writer()
        if process is not None and process.worker is None and change.id == process.training_id:
            worker = change.set.get("worker")
            if isinstance(worker, str):
                process.worker = worker

    def changed(self, change: Guarded, after: Mapping[str, Any] | None) -> None:
        """Sees a change that was made, or refused (None)."""
        self.writes += 1
        if change.collection != "trainings":
            return
        known = self.trainings.get(str(change.id))
        if known is None:
            return
        if after is None:
            self._refused(change, known)
            return
        if known.poisoned:
            known.status = after.get("status", known.status)
            return
        if self.tracing is not None:
            hidden = ("status_times", "worker")
            shown = {key: value for key, value in change.set.items() if not key.startswith(hidden)}
            self.note(f"training {_short(known.id)}: {known.status} -> {after['status']}  {shown}"[:300])
        self._check_writer(change, known)
        self._check_status(known, after)
        self._check_death(known, after)
        self._update(known, after)
        self._check_budgets(known)

    def put(self, collection: str, document: Mapping[str, Any]) -> None:
        """Sees a record that was written."""
        self.writes += 1
        if collection != "training_results":
            return
        key, attempt = (document["training_id"], document["epoch"]), document["attempt"]
        self.note(f"epoch {key[1]} of {_short(key[0])} recorded by attempt {attempt}")
        if self.records.get(key, 0) > attempt:
            raise self.violated(f"epoch {key[1]} of attempt {self.records[key]} was overwritten by attempt {attempt}")
        self.records[key] = attempt

    def claiming(self, changes: Sequence[Guarded]) -> None:
        """Sees what a pass claims together, and checks the order."""
        thread = self._scheduler.current
        if thread is None or not isinstance(thread.process, PassProcess):
            return
        claims = {str(change.id) for change in changes if "fence" in change.set and "attempt" in change.set}
        before = thread.process.queue
        still = [
            known
            for id, (priority, period) in before.items()
            if self._is_still(id, priority, period)
            for known in (self.trainings[id],)
        ]
        won = [known for known in still if known.id in claims and not known.bound]
        left = [k for k in still if k.id not in claims and not k.bound and not k.attempts and not k.poisoned]
        if won and left:
            last = max(won, key=_order)
            first = min(left, key=_order)
            if _order(first) < _order(last):
                raise self.violated(f"training {last.id} was started before {first.id}, which is before it")

    def queue_now(self) -> dict[str, tuple[int, int]]:
        """Returns the trainings that are new."""
        return {k.id: (k.priority, k.periods) for k in self.trainings.values() if k.status == "new"}

    def _is_still(self, id: str, priority: int, period: int) -> bool:
        known = self.trainings.get(id)
        return known is not None and (known.status, known.priority, known.periods) == ("new", priority, period)

    def _check_trial(self, document: Mapping[str, Any]) -> None:
        job, trial = document.get("job_id"), document.get("trial")
        if job is None or trial is None:
            return
        if document["_id"] != trial_id(job, trial["number"]):
            raise self.violated(f"trial {trial['number']} of job {job} was created twice")
        if trial["number"] >= self.max_trials[job]:
            raise self.violated(f"job {job} has more trials than its budget of {self.max_trials[job]}")

    def _check_writer(self, change: Guarded, known: Known) -> None:
        """Only the current attempt, and of that one process, may write."""
        process = self._writer()
        if process is None or process.training_id != known.id:
            return
        if known.attempt != process.attempt:
            raise self.violated(f"attempt {process.attempt} wrote, though attempt {known.attempt} had been claimed")
        starts = "worker" in change.set
        if starts and known.worker not in (None, process.worker):
            raise self.violated(f"two processes have started attempt {known.attempt} of training {known.id}")
        if not starts and known.worker != process.worker and known.status == "running":
            raise self.violated(f"a second process of attempt {known.attempt} wrote")
        if process.superseded_at is not None and known.status not in _ENDED:
            raise self.violated(f"{process.name} wrote after the store had refused it")

    def _check_status(self, known: Known, after: Mapping[str, Any]) -> None:
        before, now = known.status, after["status"]
        if after["attempt"] not in (known.attempt, known.attempt + 1) or after["attempt"] < known.attempt:
            raise self.violated(f"training {known.id} went from attempt {known.attempt} to {after['attempt']}")
        if after["attempt"] > known.attempt and (before, now) != ("new", "queued"):
            raise self.violated(f"an attempt of training {known.id} was claimed while it was {before}")
        if now == before:
            return
        if TrainingStatus(now) not in TRANSITIONS[TrainingStatus(before)]:
            raise self.violated(f"training {known.id} went from {before} to {now}")
        if before in _ENDED and before != "paused" and not known.retry_ordered:
            raise self.violated(f"training {known.id} had ended as {before}, and is {now}")
        known.retry_ordered = False
        if now == "new":
            known.periods += 1

    def _check_death(self, known: Known, after: Mapping[str, Any]) -> None:
        """No pass gives a run up that its cluster says goes on."""
        if self._writer() is not None or known.status not in _ACTIVE or after["status"] in _ACTIVE:
            return
        last = after["attempts"][-1]
        gone = last["outcome"] in ("lost", "failed") and "no longer in MITORCH_CLUSTERS" not in last["reason"]
        if gone and self.is_live(last["run_name"]):
            raise self.violated(f"{last['run_name']} was given up, though it goes on: {last['reason']}")

    def _update(self, known: Known, after: Mapping[str, Any]) -> None:
        known.status, known.attempt = after["status"], after["attempt"]
        if known.priority != after["priority"]:
            known.periods += 1  # also if it comes back to where it was: a pass may have seen it elsewhere
        known.priority, known.worker, known.fence = after["priority"], after.get("worker"), after.get("fence", 0)
        known.attempts, known.budget_from = after["attempts"], after.get("budget_from", 0)
        known.cancel_asked = after.get("cancel_requested_at") is not None
        error = after.get("error")
        if error and error["type"] not in _KNOWN_ERRORS:
            raise self.violated(f"training {known.id} has the error {error['type']}: {error['message']}")

    def _check_budgets(self, known: Known) -> None:
        for outcome, limit in _LIMITS.items():
            if known.ended_as(outcome) > limit:
                raise self.violated(f"training {known.id} has {known.ended_as(outcome)} attempts that were {outcome}")
        if known.ended_as(AttemptOutcome.FAILED) > known.max_retries + 1:
            raise self.violated(f"training {known.id} failed more often than its max_retries allow")

    def told_of_refusal(self, change: Guarded) -> None:
        """Sees a process receive the answer that its change was refused, which may be later, or never."""
        process = self._writer()
        if process is None or change.collection != "trainings" or change.id != process.training_id:
            return
        begins = any(path.endswith(".begun_at") for path in change.set)  # a note, whose refusal the run is not told
        if process.superseded_at is None and not begins and "trial" not in str(change.set):
            process.superseded_at = process.step

    def _refused(self, change: Guarded, known: Known) -> None:
        """A refused run has been superseded: one that was given up wrongly is not, as long as it has no successor."""
        process = self._writer()
        if process is None or process.training_id != known.id:
            return
        self.note(f"refused: {[*change.set]}")
        if known.attempt != process.attempt or known.worker != process.worker or known.cancel_asked:
            return
        if change.set.get("status") == "new":
            return  # it failed, and is repeated anyway
        last = known.attempts[-1].get("outcome") if known.attempts else None
        if known.status == "new" and last in ("lost", "refused") and known.budget_from < known.attempt:
            raise self.violated(f"training {known.id} was given up, and its run that lives was not taken back")

    def _writer(self) -> RunProcess | None:
        thread = self._scheduler.current
        return thread.process if thread is not None and isinstance(thread.process, RunProcess) else None


_KNOWN_ERRORS = frozenset(
    {
        "ScriptFailed",
        "Lost",
        "Refused",
        "Failed",
        "Canceled",
        "ArtifactError",
        "MachineTrouble",
        "BrokenDocument",
        "Blocked",
    }
)


def _order(known: Known) -> tuple[int, int, str]:
    return known.priority, known.arrival, known.id


def _short(id: object) -> str:
    return str(id)[:8]
