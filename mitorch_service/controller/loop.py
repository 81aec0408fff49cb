"""The controller: observe, plan, apply. Any number of passes may overlap, be missed, or die half-way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.base import Backend, RunStatus
from mitorch_service.cluster_settings.cluster_kinds import ClusterConfig
from mitorch_service.controller.apply.adoption import Translation, adopt_documents
from mitorch_service.controller.apply.applier import ActionApplier
from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.notify.notifier import Notifier
from mitorch_service.controller.notify.wanted import Wanted
from mitorch_service.controller.observe.observation import Observation
from mitorch_service.controller.observe.share_usage import ShareLedger
from mitorch_service.controller.parallel_calls import ParallelCalls, call_all
from mitorch_service.controller.pass_report import PassReport
from mitorch_service.controller.plan.placing.placement import Cluster
from mitorch_service.controller.plan.plan import plan
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.errors import MiTorchError
from mitorch_service.models.heartbeat import Heartbeat
from mitorch_service.models.training import Attempt
from mitorch_service.placement_settings.policy import FIRST_COME, Policy
from mitorch_service.stores.base import Store
from mitorch_service.webhook_settings.webhook import Webhook

_RECORDED_EVERY = timedelta(seconds=10)
_DESCRIPTION_SECONDS = 20.0  # for the status of one run


class Controller:
    """Stateless between passes: everything that it knows is in the store and on the clusters."""

    def __init__(
        self,
        store: Store,
        backends: Mapping[str, Backend],
        clusters: Sequence[ClusterConfig] = (),
        artifacts: ArtifactStore | None = None,
        every: float | None = None,
        webhooks: Sequence[Webhook] = (),
        translate: Translation | None = None,
        call_all: ParallelCalls = call_all,
        policy: Policy = FIRST_COME,
    ) -> None:
        """`backends` by cluster name, in order of preference; `clusters` are their settings. `artifacts` holds the
        checkpoints of paused trials, which are deleted when their job ends. `every`: seconds between passes, for those
        who wait for one; None: it is not known. `webhooks`: where notifications are posted. `translate`: how documents
        of other programs become ours; None: they are left as they are. `policy`: the order of
        service."""
        self._store = store
        self._backends = backends
        self._artifacts = artifacts
        self._every = every
        self._webhooks = webhooks
        self._translate = translate
        self._call_all = call_all
        self._wanted = Wanted.by(webhooks)
        self._policy = policy
        self._recorded: datetime | None = None  # when a pass of this object was last recorded
        self._clusters = {cluster.name: Cluster.of(cluster) for cluster in clusters}

    def tick(self, now: datetime, in_time: Callable[[], bool] = lambda: True) -> PassReport:
        """Runs one pass. `in_time` is called before each step, never within one: once it returns False, the rest is
        left to the next pass. Raises StoreUnavailable; records every other error in the report, with the traceback of
        one that nobody foresaw: it ends the step in which it arose, and no other."""
        events, started = EventLog(self._call_all), time.monotonic()
        self._store.prepare()
        if self._translate is not None:
            adopt_documents(self._store, self._translate, events, now, self._wanted, in_time)
        notifier = Notifier(self._store, self._webhooks, events)
        ledger = self._ledger()
        snapshot = self._observation(events, ledger).snapshot(now)
        notifier.mark(snapshot)
        actions = plan(now, snapshot, events.collect_errors)
        if ledger is not None:
            with events.collect_errors("recording what shares have used"):
                ledger.record(now, snapshot.active, actions, snapshot.queue)
        applier = ActionApplier(self._store, self._backends, self._artifacts, events, self._wanted)
        complete = applier.apply_all(actions, now, in_time)
        report = PassReport(snapshot, events.events, complete)
        try:
            self._record(report, now)
        except MiTorchError as error:  # the pass is done all the same
            events.note_failure(str(error))
        notifier.notify(snapshot, lambda: now + timedelta(seconds=time.monotonic() - started), in_time)
        return report

    def observe(self, now: datetime) -> Snapshot:
        """Returns the snapshot that a pass would work on now."""
        return self._observation(EventLog(self._call_all), self._ledger()).snapshot(now)

    def describe_run(self, attempt: Attempt) -> RunStatus | None:
        """Returns the status that its cluster reports for an attempt's run; None if it does not answer, is not in the
        settings, or does not know the run."""
        backend = self._backends.get(attempt.cluster)
        if backend is None:
            return None
        backend.load()
        calls = {attempt.cluster: partial(backend.describe, [attempt.run_name])}
        found = EventLog().call_clusters(calls, _DESCRIPTION_SECONDS).get(attempt.cluster, {})
        return found.get(attempt.run_name)

    def _record(self, report: PassReport, now: datetime) -> None:
        """Tells everybody of the pass; of passes that follow each other closely, not of each."""
        if self._recorded is not None and now - self._recorded < _RECORDED_EVERY:
            return
        failures = sum(event.failed for event in report.events)
        host, process = os.uname().nodename, os.getpid()
        self._store.controllers.record_pass(
            Heartbeat(
                at=now,
                every=self._every,
                machine=host,
                process=process,
                complete=report.complete,
                failures=failures,
            )
        )
        self._recorded = now

    def _ledger(self) -> ShareLedger | None:
        settings = self._policy.fair_share
        return None if settings is None else ShareLedger(self._store, settings)

    def _observation(self, events: EventLog, ledger: ShareLedger | None) -> Observation:
        return Observation(self._store, self._backends, self._clusters, events, self._wanted, self._policy, ledger)


def run(
    tick: Callable[[], PassReport],
    wait: Callable[[], None],
    show: Callable[[PassReport], None],
    until_idle: bool,
) -> None:
    """Runs passes for ever, or until one finds nothing to do."""
    while True:
        report = tick()
        show(report)
        if until_idle and report.idle:
            return
        wait()
