"""The controller: observe, plan, apply. Any number of passes may overlap, be missed, or die half-way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.base import Backend
from mitorch_service.controller.apply.steps import Steps
from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.observe.observation import Observation
from mitorch_service.controller.pass_report import PassReport
from mitorch_service.controller.plan.placement import Cluster
from mitorch_service.controller.plan.plan import plan
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.settings import ClusterConfig
from mitorch_service.stores.base import Store


class Controller:
    """Stateless between passes: all that it knows is in the store and on the clusters."""

    def __init__(
        self,
        store: Store,
        backends: Mapping[str, Backend],
        clusters: Sequence[ClusterConfig] = (),
        artifacts: ArtifactStore | None = None,
    ) -> None:
        """`backends` by cluster name, in order of preference; `clusters` what the settings say of them. `artifacts`:
        where the states of paused trials are, which are deleted with the end of their job."""
        self._store, self._backends, self._artifacts = store, backends, artifacts
        self._facts = {cluster.name: Cluster.of(cluster) for cluster in clusters}

    def tick(self, now: datetime, in_time: Callable[[], bool] = lambda: True) -> PassReport:
        """One pass. `in_time` is asked before each step, never within one: once it says no, the rest is left to the
        next pass. Raises StoreUnavailable when the database does not answer; nothing else stops it."""
        events = EventLog()
        self._store.prepare()
        observation = self._observation(events)
        snapshot = observation.snapshot(now)
        steps = Steps(self._store, self._backends, self._artifacts, observation, events)
        for step in steps.of(plan(now, snapshot), now):
            if not in_time():
                return PassReport(snapshot, events.events, complete=False)
            with events.going_on():
                step()
        return PassReport(snapshot, events.events)

    def observe(self, now: datetime) -> Snapshot:
        """What a pass would see now."""
        return self._observation(EventLog()).snapshot(now)

    def _observation(self, events: EventLog) -> Observation:
        return Observation(self._store, self._backends, self._facts, events)


def run(
    tick: Callable[[], PassReport],
    wait: Callable[[], None],
    show: Callable[[PassReport], None],
    until_idle: bool,
) -> None:
    """Passes for ever, or until one finds nothing to do."""
    while True:
        report = tick()
        show(report)
        if until_idle and report.idle:
            return
        wait()
