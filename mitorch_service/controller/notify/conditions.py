"""Follows what lasts (a cluster that refuses, a leak, a spent budget), so that each episode is announced once. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from mitorch_service.controller.plan.cluster_backoff import ClusterBackoff
from mitorch_service.controller.plan.leaks import unexplained_nodes
from mitorch_service.controller.plan.search.plan_job import limit_note
from mitorch_service.controller.plan.snapshot import JobState, Snapshot
from mitorch_service.models.notification import Condition
from mitorch_service.webhook_settings.webhook import EventKind
from mitorch_service.wording.counted import are, counted

LEAK_AFTER = timedelta(minutes=30)  # a node takes minutes to be released after a run
QUIET = timedelta(minutes=30)  # without being seen, after which an episode is over
_SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Observed:
    """Something that may last, as one pass sees it. `text` None: it is not there."""

    kind: EventKind
    about: str  # a cluster's name or a job's id
    text: str | None
    state: JobState | None = None
    after: timedelta = timedelta(0)  # how long it must last before it is announced

    @property
    def id(self) -> str:
        """The id of its document."""
        return condition_id(self.kind, self.about)


def condition_id(kind: EventKind, about: str) -> str:
    """Returns the id of a condition's document."""
    return f"condition:{kind.value}:{about}"


def observed_conditions(now: datetime, snapshot: Snapshot) -> Iterator[Observed]:
    """Yields those of each cluster, whether they hold or not, and the limits that jobs have reached. The leak of a
    cluster that does not answer is unknown, and left as it is."""
    backoff = ClusterBackoff(now, snapshot.queue, snapshot.active)
    leaks = unexplained_nodes(snapshot)
    for name in sorted(snapshot.configured):
        yield Observed(EventKind.CLUSTER_REFUSING, name, backoff.last_refusal(name))
        if name in leaks:
            yield Observed(EventKind.CLUSTER_LEAK, name, _leak_text(leaks[name]), after=LEAK_AFTER)
    for state in snapshot.jobs:
        note = limit_note(now, state)
        if note is not None:
            yield Observed(EventKind.JOB_LIMIT, state.job.id, note, state)


def advanced(condition: Condition, observed: Observed, now: datetime) -> Condition:
    """Returns the condition after one more observation; the same one if nothing is to be stored."""
    gone = condition.seen_at is None or now - condition.seen_at >= QUIET
    if observed.text is None:
        if condition.holds and not gone:
            return condition
        return condition if condition.since is None else _changed(condition, holds=False, since=None)
    if condition.holds:
        fresh = condition.seen_at is not None and now - condition.seen_at < _SEEN_EVERY
        return condition if fresh else _changed(condition, seen_at=now)
    since = condition.since or now  # seen by each pass since then
    if now - since >= observed.after:
        return _changed(condition, holds=True, episode=condition.episode + 1, since=since, seen_at=now)
    return _changed(condition, since=since, seen_at=now)


def _changed(condition: Condition, **fields: object) -> Condition:
    return condition.model_copy(update=fields)


def _leak_text(nodes: int) -> str | None:
    if nodes == 0:
        return None
    minutes = int(LEAK_AFTER.total_seconds() // 60)
    return (
        f"{counted(nodes, 'node')} {are(nodes)} busy or unusable without a training of ours for {minutes} minutes: a "
        "run that was given up and goes on, a node out of order, or other people's runs"
    )
