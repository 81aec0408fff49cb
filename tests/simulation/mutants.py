"""Mutants: the service with one of its guards taken away. The simulation must notice each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from mitorch_service.backends.base import RunRequest
from mitorch_service.controller.apply.launch import Launcher
from mitorch_service.controller.observe import observation
from mitorch_service.controller.plan import plan
from mitorch_service.controller.plan.actions import Action, EndAttempt, Launch, Submit
from mitorch_service.controller.plan.placing import order_of_service
from mitorch_service.controller.plan.search import expansion
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.errors import ArtifactError, BackendUnavailable, RunRefused
from mitorch_service.models.attempts import attempt_budgets
from mitorch_service.models.base import new_id
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Attempt, Training, TrainingRow
from mitorch_service.runs.store_reporter import StoreReporter
from mitorch_service.stores.requests import Guarded
from mitorch_service.stores.search.jobs import JobVerbs
from mitorch_service.stores.search.recounts import RecountVerbs
from mitorch_service.stores.verbs.queue import QueueVerbs
from mitorch_service.stores.verbs.runs import RunVerbs
from tests.simulation.histories import Focus, Mutant
from tests.simulation.scheduler import Fate
from tests.simulation.world import World
from tests.simulation.world_events import (
    another_pass,
    cancel_job,
    double,
    evict,
    hang,
    part,
    poison,
    poison_job,
    set_clock,
    stop_pass,
    stop_process,
)


@dataclass(frozen=True)
class Guard:
    """A guard that can be taken away."""

    change: Mutant
    focus: Focus  # what brings it to light


def unchanged(world: World) -> None:
    """Takes nothing away."""


def _without(field: str) -> Mutant:
    """Leaves a field out of what changes of trainings expect."""

    def strip(change: Guarded) -> Guarded:
        if change.collection != "trainings":
            return change
        return replace(change, expect={path: values for path, values in change.expect.items() if path != field})

    return lambda world: setattr(world.database, "guards", strip)


def _lost_for_good(world: World) -> None:
    """A run that was given up is never taken back."""

    def strip(change: Guarded) -> Guarded:
        lost = AttemptOutcome.LOST in change.set.values()
        return replace(change, set={**change.set, "fence": 0}) if lost and "fence" in change.set else change

    world.database.guards = strip


def _silence_is_death(world: World) -> None:
    """A silent run is lost, whatever its cluster says."""

    def watch(now: datetime, training: TrainingRow, attempt: Attempt, *rest: object) -> object:
        heard = training.last_sign_of_life()
        silent = heard is not None and now - heard > timedelta(minutes=10)
        return EndAttempt(training.id, attempt, AttemptOutcome.LOST, TrainingStatus.NEW, "silent") if silent else None

    world.replace(plan, "watch_silence", watch)


def _no_second_submission(world: World) -> None:
    """A run that a dead pass has claimed is not submitted by the next one."""
    watch = plan.watch

    def skip(now: datetime, training: TrainingRow, snapshot: Snapshot) -> Action | None:
        action = watch(now, training, snapshot)
        return None if isinstance(action, Submit) else action

    world.replace(plan, "watch", skip)


def _last_come_first_served(world: World) -> None:
    in_order = order_of_service.in_order

    def reverse(waiting: Sequence[TrainingRow]) -> list[TrainingRow]:
        return in_order(waiting)[::-1]

    world.replace(order_of_service, "in_order", reverse)


def _any_attempt(verbs: RunVerbs, training_id: str, attempt: int) -> Training | None:
    return verbs._database.read_one(Training, "trainings", training_id)


def _starts_runs_twice(world: World) -> None:
    for cluster in world.clusters.values():
        cluster.starts_twice = True


def _replaced(target: object, name: str, value: object) -> Mutant:
    return lambda world: world.replace(target, name, value)


def _of_database(name: str) -> Mutant:
    return lambda world: setattr(world.database, name, True)


def _late_beginnings(world: World) -> None:
    """A process notes that it has begun, whatever has become of its attempt, and answers are late by a minute."""
    world.scheduler.late = 60.0

    def strip(change: Guarded) -> Guarded:
        begins = any(path.endswith(".begun_at") for path in change.set)
        return replace(change, expect={"attempt": (_number(change),)}) if begins else change

    world.database.guards = strip


def _number(change: Guarded) -> int:
    return int(next(iter(change.set)).split(".")[1]) + 1


def _places_of_others(launcher: Launcher, launches: Sequence[Launch]) -> list[Launch]:
    return [one for one in launches if one.attempt.cluster not in launcher._refusing]


def _places_are_given_away(world: World) -> None:
    """Gives the places of others away, where a cluster is silent in one pass and refuses its claims in the next."""
    one, two = world.clusters["one"], world.clusters["two"]
    one.nodes, two.nodes = 4, 2
    accept = one.submit

    def submit(request: RunRequest) -> str:
        if world.scheduler.now > 300:
            return accept(request)
        if int(world.scheduler.now / 60) % 2 == 0:
            raise BackendUnavailable("one", "it does not answer", "Wait.")
        raise RunRefused("one", "not now", "Wait.")

    def queue_more() -> None:
        for _ in range(4):
            world.submit()

    world.scheduler.at(30.0, queue_more)
    world.replace(one, "submit", submit)
    world.replace(Launcher, "_in_turn", _places_of_others)


def _records_of_others(world: World) -> None:
    """No records are taken over, where first attempts keep no checkpoint, and die before they can tell their end."""
    put, finish = world.artifacts.put_value, RunVerbs.finish_training

    def keep(key: str, value: object) -> None:
        if "/a0001-" in key:
            raise ArtifactError(key, "the simulation", "is out of order")
        put(key, value)

    def tell_end(verbs: RunVerbs, training_id: str, attempt: int, *rest: Any) -> None:
        if attempt == 1 and world.scheduler.current is not None:
            world.scheduler.kill(world.scheduler.current.process)
        finish(verbs, training_id, attempt, *rest)

    world.replace(world.artifacts, "put_value", keep)
    world.replace(RunVerbs, "finish_training", tell_end)
    world.replace(RunVerbs, "_take_over_results", lambda *rest: None)


def _late_trials_are_not_counted(world: World) -> None:
    correct = RecountVerbs.correct
    world.replace(RecountVerbs, "correct", lambda verbs, job, counts, *rest: correct(verbs, job, job.counts, *rest))


def _spent_budgets_last(world: World) -> None:
    world.replace(attempt_budgets, "MAX_LOST_ATTEMPTS", 99)


_DEATHS: Focus = ([evict, another_pass], [Fate.DIES_AFTER, Fate.FAILS_AFTER])
_GHOSTS: Focus = ([part, double, stop_process, another_pass], [Fate.LATE])
_HANGS: Focus = ([hang], [Fate.LATE])
_LEAKS: Focus = ([hang, stop_pass], [Fate.FAILS_BEFORE, Fate.DIES_AFTER])
_SLOW: Focus = ([part, double], [Fate.LATE])
_TWINS: Focus = ([double, stop_process], [Fate.LATE])
_LOSSES: Focus = ([evict], [])
_SEARCHES: Focus = ([cancel_job, stop_pass, another_pass], [Fate.LATE])
_LATE_TRIALS: Focus = ([cancel_job, another_pass], [Fate.LATE])
_POISON: Focus = ([poison], [])
_POISONED_SEARCHES: Focus = ([poison_job], [])
_DELAYED: Focus = ([double], [Fate.LATE])
_REFUSALS: Focus = ([another_pass], [Fate.DIES_AFTER])
_CLOCKS: Focus = ([set_clock, evict], [Fate.FAILS_AFTER])

MUTANTS: Mapping[str, Guard] = {
    "no fence": Guard(_without("fence"), _GHOSTS),
    "no compare-and-set": Guard(_without("status"), _GHOSTS),
    "no attempt number": Guard(_without("attempt"), ([another_pass, stop_pass, evict], [Fate.LATE])),
    "no worker": Guard(_without("worker"), _TWINS),
    "results without their attempt": Guard(_of_database("puts_without_fence"), _SLOW),
    "deletions without their attempt": Guard(_of_database("removes_all"), _SLOW),
    "insertions that replace": Guard(_of_database("inserts_again"), _SEARCHES),
    "run names that start twice": Guard(_starts_runs_twice, _DEATHS),
    "silence is death": Guard(_silence_is_death, _GHOSTS),
    "silence is not noticed": Guard(_replaced(plan, "watch_silence", lambda *rest: None), _HANGS),
    "lost for good": Guard(_lost_for_good, _GHOSTS),
    "no second submission": Guard(_no_second_submission, _DEATHS),
    "random trial ids": Guard(_replaced(expansion, "trial_id", lambda job, number: new_id()), _SEARCHES),
    "no budget of losses": Guard(_spent_budgets_last, _LOSSES),
    "last come, first served": Guard(_last_come_first_served, _DEATHS),
    "runs that do not stop": Guard(_replaced(StoreReporter, "should_stop", lambda reporter: False), _GHOSTS),
    "unreadable documents stay": Guard(_replaced(QueueVerbs, "quarantine_training", lambda *rest: False), _POISON),
    "unreadable searches stay": Guard(_replaced(JobVerbs, "quarantine_job", lambda *rest: False), _POISONED_SEARCHES),
    "leaks are not found": Guard(_replaced(observation, "read_leaks", lambda *rest: []), _LEAKS),
    "trials of ended jobs": Guard(_replaced(JobVerbs, "ended_among", lambda verbs, jobs: set()), _SEARCHES),
    "any attempt starts": Guard(_replaced(RunVerbs, "find_attempt", _any_attempt), _SLOW),
    "late beginnings": Guard(_late_beginnings, _DELAYED),
    "places of those before": Guard(_places_are_given_away, _REFUSALS),
    "records of others": Guard(_records_of_others, ([part], [Fate.LATE])),
    "late trials are not counted": Guard(_late_trials_are_not_counted, _LATE_TRIALS),
    "clocks are trusted": Guard(_replaced(Attempt, "not_before", lambda attempt, at: at), _CLOCKS),
}
