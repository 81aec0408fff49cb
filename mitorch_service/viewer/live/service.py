"""The state of the service as pages show it: clusters and sums from the background, the rest read now."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from mitorch_service.insights.daily_cost import DailyCost, read_daily_cost
from mitorch_service.insights.failures import FailureReport, read_failures
from mitorch_service.insights.service_status import ClusterStatus, ServiceStatus, ask_cluster, status_with
from mitorch_service.stores.base import Store
from mitorch_service.viewer.context import Context
from mitorch_service.viewer.live.refreshed import Reading, Refreshed

Found = TypeVar("Found")
_CLUSTER_SECONDS = 15.0
_FAILURE_SECONDS = 60.0
_COST_SECONDS = 600.0
_WAIT = 0.8  # of a request, the first time


@dataclass(frozen=True)
class ServiceReading:
    """All that the status page shows."""

    status: ServiceStatus
    ages: Mapping[str, float | None]  # seconds since each cluster was asked
    failures: Reading[FailureReport]
    cost: Reading[DailyCost]


class ServiceWatch:
    """Reads the state of the service; clusters are never asked while a request waits for longer than a second."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._clusters = {
            name: Refreshed(partial(ask_cluster, backend), _CLUSTER_SECONDS)
            for name, backend in context.backends.items()
        }
        self._failures = Refreshed(partial(self._find, read_failures), _FAILURE_SECONDS)
        self._cost = Refreshed(partial(self._find, read_daily_cost), _COST_SECONDS)

    def capacities(self, wait: float = _WAIT) -> tuple[dict[str, ClusterStatus], dict[str, float | None]]:
        """The clusters as far as they have answered, and how long ago; the first time waits so many seconds."""
        end = time.monotonic() + wait
        for one in self._clusters.values():  # all are asked before the first is waited for
            one.read()
        readings = {name: one.read(max(0.0, end - time.monotonic())) for name, one in self._clusters.items()}
        clusters = {name: _cluster(reading) for name, reading in readings.items()}
        return clusters, {name: reading.age for name, reading in readings.items()}

    def read(self) -> ServiceReading:
        """Reads it all. Raises StoreUnavailable, QueryTimedOut."""
        self._failures.read()
        self._cost.read()
        clusters, ages = self.capacities()
        settings = self._context.settings
        prices = {one.name: one.price for one in settings.clusters}
        clusters = {name: replace(one, price=prices.get(name, 0.0)) for name, one in clusters.items()}
        with self._context.reading() as store:
            status = status_with(store, clusters, self._context.clock(), settings.webhooks, settings.placement)
        return ServiceReading(status, ages, self._failures.read(_WAIT / 4), self._cost.read(_WAIT / 4))

    def _find(self, read: Callable[[Store, datetime], Found]) -> Found:
        with self._context.apart() as store:
            return read(store, self._context.clock())


def _cluster(reading: Reading[ClusterStatus]) -> ClusterStatus:
    if reading.value is None:
        return ClusterStatus(None, reading.error or "it has not answered yet")
    return reading.value


def watch_of(context: Context) -> ServiceWatch:
    """The one watch of a server."""
    return context.once("service watch", lambda: ServiceWatch(context))
