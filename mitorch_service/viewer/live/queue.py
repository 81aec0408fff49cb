"""The queue as its page shows it, in parts that are sent again only where they change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from mitorch_service.controller.plan.placing.placement import Cluster
from mitorch_service.insights.waiting.queue_overview import QueueOverview, read_overview
from mitorch_service.insights.waiting.queue_plan import QueuePlan, Wait, plan_queue, read_durations, read_snapshot
from mitorch_service.insights.waiting.remaining import training_remaining
from mitorch_service.models.heartbeat import missing_controller
from mitorch_service.viewer.context import Context
from mitorch_service.viewer.live.constant_html import constant
from mitorch_service.viewer.live.refreshed import Refreshed
from mitorch_service.viewer.live.service import watch_of
from mitorch_service.viewer.pages.templates import macros

_PLAN_SECONDS = 5.0
_FIRST_WAIT = 0.3  # of a request, for the first plan

Rows = Sequence[tuple[str, str]]  # id and HTML of each


@dataclass(frozen=True)
class QueueView:
    """The HTML of the page's parts and of the rows of its tables."""

    title: str
    parts: Mapping[str, str]
    tables: Mapping[str, Rows]
    overview: QueueOverview

    @cached_property
    def version(self) -> str:
        """Names what is shown: equal where a reader would see the same."""
        shown = [self.title, *map(constant, self.parts.values())]
        shown += [constant(html) for rows in self.tables.values() for _, html in rows]
        return hashlib.blake2b("\0".join(shown).encode("utf-8", "replace"), digest_size=9).hexdigest()

    def changes(self, before: QueueView | None) -> dict[str, object]:
        """Returns what a page that shows `before` must replace; all of it if that is None."""
        known = before.parts if before is not None else {}
        parts = {name: html for name, html in self.parts.items() if _differs(html, known.get(name))}
        tables = {}
        for name, rows in self.tables.items():
            earlier = before.tables[name] if before is not None else ()
            if change := _row_changes(rows, earlier, before is None):
                tables[name] = change
        changed: dict[str, object] = {"title": self.title, "parts": parts, "tables": tables}
        return changed


def _row_changes(rows: Rows, earlier: Rows, every: bool) -> dict[str, object]:
    known = dict(earlier)
    change: dict[str, object] = {}
    if changed := {id: html for id, html in rows if _differs(html, known.get(id))}:
        change["rows"] = changed
    order = [id for id, _ in rows]
    if every or order != [id for id, _ in earlier]:
        change["order"] = order
    return change


def _differs(html: str, before: str | None) -> bool:
    return before is None or constant(html) != constant(before)


class QueueWatch:
    """Reads the queue. The plan is made in the background, so that no request waits for a cluster."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._plan = Refreshed(self._find_plan, _PLAN_SECONDS)

    def plan(self, wait: float = _FIRST_WAIT) -> QueuePlan:
        """The plan for the head of the queue, some seconds old; the first time waits so many seconds for it."""
        return self._plan.read(wait).value or QueuePlan()

    def view(self, may_change: bool) -> QueueView:
        """Reads and renders it. Raises StoreUnavailable, QueryTimedOut."""
        context, now = self._context, self._context.clock()
        plan = self.plan()
        clusters, ages = watch_of(context).capacities(0.0)
        with context.reading() as store:
            overview = read_overview(store, list(clusters), now, context.settings.placement)
        parts = macros("queue_parts.html")
        waits = plan.waits
        missing = missing_controller(overview.controller, now) if _needs_controller(overview) else None
        if missing is not None:  # nothing can be expected
            waits = {row.id: Wait(None, note="A controller must run first") for row in overview.waiting}
        return QueueView(
            title=_title(overview, missing),
            parts={
                "alert": parts["alert"](missing, overview.unreadable),
                "tiles": parts["tiles"](overview.counts),
                "clusters": parts["clusters"](clusters, ages, overview.refusals),
                "running": parts["running_aside"](overview.active, len(overview.running)),
                "waiting": parts["waiting_aside"](overview.counts.get("new", 0), len(overview.waiting), plan.recorded),
                "jobs": parts["jobs_aside"](overview.active_jobs, len(overview.jobs)),
            },
            tables=_tables(parts, overview, waits, now, may_change),
            overview=overview,
        )

    def _find_plan(self) -> QueuePlan:
        clusters, ages = watch_of(self._context).capacities()
        capacities = {name: one.capacity for name, one in clusters.items() if one.capacity is not None}
        now = self._context.clock()
        asked_at = {name: now - timedelta(seconds=ages[name] or 0.0) for name in capacities}
        facts = [Cluster.of(config) for config in self._context.settings.clusters]
        with self._context.apart() as store:
            last = store.controllers.last_pass()
            snapshot = read_snapshot(store, capacities, asked_at, facts, now, self._context.settings.placement)
            return plan_queue(now, snapshot, read_durations(store), last.every if last else None)


def _tables(
    parts: Mapping[str, Callable[..., str]],
    overview: QueueOverview,
    waits: Mapping[str, Wait],
    now: datetime,
    may_change: bool,
) -> dict[str, Rows]:
    waiting, unknown = overview.waiting, Wait(None)

    def place(number: int) -> str:
        row = waiting[number]
        return parts["waiting_row"](row, number + 1, waits.get(row.id, unknown), now, may_change)

    return {
        "running": [
            (row.id, parts["running_row"](row, training_remaining(row, now), now, may_change))
            for row in overview.running
        ],
        "waiting": [(row.id, place(number)) for number, row in enumerate(waiting)],
        "jobs": [(job.id, parts["job_row"](job, now)) for job in overview.jobs],
        "ended": [
            (row.id, parts["ended_row"](row, overview.errors.get(row.id), now, may_change)) for row in overview.ended
        ],
    }


def _needs_controller(overview: QueueOverview) -> bool:
    return bool(overview.active or overview.waiting or overview.jobs or overview.controller)


def _title(overview: QueueOverview, missing: str | None) -> str:
    counts: Mapping[str, Any] = overview.counts
    state = f"{counts.get('running', 0)} running, {counts.get('new', 0)} waiting"
    return state if missing is None else f"No controller · {state}"


def queue_watch_of(context: Context) -> QueueWatch:
    """The one watch of a server."""
    return context.once("queue watch", lambda: QueueWatch(context))
