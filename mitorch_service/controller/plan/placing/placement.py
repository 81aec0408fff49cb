"""Places trainings on clusters, and explains why one has to wait. Pure.

A training goes to a cluster that it may use and that has enough free nodes: one near its data, else the cheapest, else
the one with the most free nodes, else the first in the settings.

A training that fits nowhere now lets those behind it pass, but not for ever: on the cluster that lacks the fewest
nodes, the free ones are reserved for it. No training behind it gets these, so that every node that becomes free there
is added, until it has them all. At worst one node less than it needs stays idle, unless what is known of durations
lets others have the reserved nodes meanwhile: see `backfill`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from mitorch_service.backends.base import Capacity
from mitorch_service.cluster_settings.cluster_kinds import ClusterConfig
from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster
from mitorch_service.controller.plan.cluster_backoff import ClusterBackoff
from mitorch_service.controller.plan.placing.backfill import Backfill
from mitorch_service.models.dataset import Dataset
from mitorch_service.models.training import Resources, TrainingRow

_ANYTHING = Resources()
_NONE: Mapping[str, str] = {}


@dataclass(frozen=True)
class Cluster:
    """A cluster as the settings describe it. None: not known, which excludes no training."""

    name: str
    price: float = 0.0  # of a node for an hour
    gpus: int | None = None  # of a node
    memory: float | None = None  # GiB of a node
    most_nodes: int | None = None  # that a training can have
    data: tuple[str, ...] = ()  # patterns of the data sets, accounts and hosts that are near
    max_silence: float | None = None  # seconds
    low_priority: bool = False  # its nodes may be taken away
    cancel_leaks_after: float | None = None  # seconds

    @classmethod
    def of(cls, config: ClusterConfig) -> Cluster:
        """Returns the description in the settings."""
        most_nodes, silence = _most_nodes(config), config.max_silence
        return cls(
            config.name,
            config.price,
            config.node_gpus,
            config.memory,
            most_nodes,
            config.data,
            silence,
            config.low_priority,
            config.cancel_leaks_after,
        )


def ineligibility(needed: Resources, cluster: Cluster) -> str | None:
    """Returns the reason why a training can never run on the cluster; None if it can."""
    if needed.cluster is not None and cluster.name not in needed.cluster:
        return f"not among its resources.cluster ({', '.join(needed.cluster)})"
    if needed.gpus is not None and cluster.gpus is not None and needed.gpus > cluster.gpus:
        return f"has {cluster.gpus} GPUs a node, {needed.gpus} needed"
    if needed.memory is not None and cluster.memory is not None and needed.memory > cluster.memory:
        return f"has {cluster.memory:g} GiB a node, {needed.memory:g} needed"
    if cluster.most_nodes is not None and needed.nodes > cluster.most_nodes:
        return f"gives a training at most {_nodes(cluster.most_nodes)}, {needed.nodes} needed"
    return None


class Placer:
    """The free nodes of one moment, given away training by training: first come, first served."""

    def __init__(
        self,
        clusters: Mapping[str, Cluster],
        capacities: Mapping[str, Capacity],
        free: Mapping[str, int],
        hosts: Mapping[str, frozenset[str]],
        backoff: ClusterBackoff,
        withheld: Mapping[str, str] = _NONE,
        backfill: Backfill | None = None,
    ) -> None:
        """`capacities` of the clusters that answered, in order of preference, and their `free` nodes; `hosts` of a data
        set's files, by its name and version; `backoff` of clusters that have refused trainings; `withheld`: data sets
        that no run can read, with the reason; `backfill`: the runs of now, if reserved nodes may be used meanwhile."""
        self._clusters = {name: _with_capacity(clusters.get(name), name, c) for name, c in capacities.items()}
        self._free = dict(free)
        self._total = {name: capacity.total for name, capacity in capacities.items()}
        self._hosts = hosts
        self._backoff = backoff
        self._withheld = withheld
        self._reserved: dict[str, str] = {}  # cluster -> the training for which its free nodes are reserved
        self._backfill = backfill
        self._lendable: dict[str, tuple[int, float]] = {}  # cluster -> reserved nodes, and for how many seconds
        self._behind: dict[str, str] = {}  # training on reserved nodes -> the one for which they are reserved
        self._down = [cluster for name, cluster in clusters.items() if name not in capacities]

    @property
    def full(self) -> bool:
        """Whether no node is free any more."""
        return not any(free > 0 for free in self._free.values()) and not any(n for n, _ in self._lendable.values())

    def leaves_room(self, trainings: Iterable[TrainingRow]) -> bool:
        """Places the trainings; returns whether a node is left then on a cluster that takes more."""
        for row in trainings:
            if self.full:
                return False
            self.place(row)
        return any(free > 0 and not self._backoff.rests(name) for name, free in self._free.items())

    def price(self, cluster: str) -> float:
        """Returns the price of one of its nodes for an hour."""
        return self._clusters[cluster].price

    def place(self, training: TrainingRow) -> str | None:
        """Gives the training its nodes and returns the cluster; or returns None and reserves the free nodes of the
        cluster that lacks the fewest."""
        if str(training.dataset) in self._withheld and training.kept_on() is None:
            return None
        needed = training.resources or _ANYTHING
        able = [name for name, cluster in self._clusters.items() if self._can_hold(needed, cluster)]
        if (kept_on := self._kept_on(training)) is not None:
            able = [name for name in able if name == kept_on]
        usable = [name for name in able if self._backoff.why_blocked(training, name) is None]
        fitting = [name for name in usable if self._free[name] >= needed.nodes]
        if fitting:
            best = min(fitting, key=lambda name: self._rank(training, name))
            self._free[best] -= needed.nodes
            return self._start(training, best)
        lent = next((name for name in usable if self._lends(name, training, needed.nodes)), None)
        if lent is not None:
            nodes, seconds = self._lendable[lent]
            self._lendable[lent] = nodes - needed.nodes, seconds
            self._behind[training.id] = self._reserved[lent]
            return self._start(training, lent)
        if usable and needed.nodes > 1:
            self._reserve(training, needed.nodes, usable)
        return None

    def behind(self, training: TrainingRow) -> str | None:
        """Returns the training for which the nodes are reserved that this one was given meanwhile, if they are."""
        return self._behind.get(training.id)

    def explain(self, training: TrainingRow) -> dict[str, str]:
        """Returns for each cluster the reason why the training does not start there now; empty if it would start."""
        if (withheld := self._withheld.get(str(training.dataset))) and training.kept_on() is None:
            return dict.fromkeys([*self._clusters, *(one.name for one in self._down)], f"its data set: {withheld}")
        needed = training.resources or _ANYTHING
        reasons = {name: self._reason(needed, training, cluster) for name, cluster in self._clusters.items()}
        if None in reasons.values():
            return {}
        down = {cluster.name: ineligibility(needed, cluster) or "does not answer" for cluster in self._down}
        return {name: reason for name, reason in {**reasons, **down}.items() if reason is not None}

    def _start(self, training: TrainingRow, cluster: str) -> str:
        self._backoff.record_probe(training, cluster)
        if self._backfill is not None:
            self._backfill.start(training, cluster, (training.resources or _ANYTHING).nodes)
        return cluster

    def _reserve(self, training: TrainingRow, nodes: int, usable: Iterable[str]) -> None:
        """Reserves the free nodes of the cluster that lacks the fewest, not counting those that were lent."""
        lent = {name: 0 if self._backfill is None else self._backfill.lent(name, training.id) for name in usable}
        nearest = min(lent, key=lambda name: (-self._free[name] - lent[name], *self._rank(training, name)))
        free = self._free[nearest]
        if free > 0:
            self._free[nearest] = 0
            self._reserved[nearest] = training.id
            seconds = 0.0 if self._backfill is None else self._backfill.seconds_until(nearest, nodes - free)
            if seconds > 0:
                self._lendable[nearest] = free, seconds

    def _lends(self, cluster: str, training: TrainingRow, nodes: int) -> bool:
        """Whether the cluster has so many reserved nodes for as long as the training may take."""
        left, seconds = self._lendable.get(cluster, (0, 0.0))
        return nodes <= left and self._backfill is not None and self._backfill.ends_within(training, seconds)

    def _kept_on(self, training: TrainingRow) -> str | None:
        """The cluster that has its finished work, unless that is no longer in the settings."""
        kept_on = training.kept_on()
        return kept_on if kept_on in self._clusters or any(kept_on == one.name for one in self._down) else None

    def _can_hold(self, needed: Resources, cluster: Cluster) -> bool:
        if needed is _ANYTHING:
            return True
        return needed.nodes <= self._total[cluster.name] and ineligibility(needed, cluster) is None

    def _rank(self, training: TrainingRow, name: str) -> tuple[bool, float, int]:
        """Lower is better; of equals min() takes the first, which is the preferred one."""
        cluster = self._clusters[name]
        near = bool(cluster.data) and is_near_data(cluster, training, self._hosts)
        return (not near, cluster.price, -self._free[name])

    def _reason(self, needed: Resources, training: TrainingRow, cluster: Cluster) -> str | None:
        blocked = ineligibility(needed, cluster) or self._backoff.why_blocked(training, cluster.name)
        if self._kept_on(training) not in (None, cluster.name):
            blocked = f"its finished work is kept on {self._kept_on(training)}, which delivers it"
        if blocked is not None:
            return blocked
        total, free = self._total[cluster.name], max(0, self._free[cluster.name])
        if needed.nodes > total:
            return f"has {_nodes(total)} in all, {needed.nodes} needed"
        if needed.nodes <= free or self._lends(cluster.name, training, needed.nodes):
            return None
        reserved = self._reserved.get(cluster.name)
        if reserved is not None:
            return (
                f"its free nodes are reserved for training {reserved[:8]}, which is before it and needs more of them"
                + ("" if self._backfill is None else "; it is not known to end before that has all")
            )
        return f"{free} of {_nodes(total)} free, {needed.nodes} needed"


def is_near_data(cluster: Cluster, training: TrainingRow, hosts: Mapping[str, frozenset[str]]) -> bool:
    """Whether a pattern of the cluster's `data` matches the training's data set, or its files' account or host."""
    names = {training.dataset.name, str(training.dataset)}
    for host in hosts.get(str(training.dataset), frozenset()):
        names |= {host, host.partition(".")[0]}
    return any(fnmatchcase(name, pattern) for pattern in cluster.data for name in names)


def hosts_of(dataset: Dataset) -> frozenset[str]:
    """Returns the hosts of those of its files that are URLs."""
    places = [place for split in dataset.splits().values() for place in (split.path, *split.support_files)]
    return frozenset(host for host in map(_host, places) if host)


def unplaceable(needed: Resources, clusters: Iterable[Cluster]) -> str | None:
    """Returns the reasons why none of the clusters could ever hold such a training; None if one could."""
    reasons = [(cluster.name, ineligibility(needed, cluster)) for cluster in clusters]
    if any(reason is None for _, reason in reasons):
        return None
    return "; ".join(f"cluster {name}: {reason}" for name, reason in reasons)


def _most_nodes(config: ClusterConfig) -> int | None:
    if isinstance(config, LocalCluster):
        return 1
    if isinstance(config, SlurmCluster):
        return config.nodes
    return None if config.create is None else config.create.max_nodes


def _with_capacity(cluster: Cluster | None, name: str, capacity: Capacity) -> Cluster:
    """The settings override what the cluster reports of itself."""
    known = cluster or Cluster(name)
    if known.gpus is not None or capacity.gpus is None:
        return known
    return replace(known, gpus=capacity.gpus)


def _host(place: str) -> str | None:
    return urlsplit(place).hostname if place.startswith(("https://", "http://")) else None


def _nodes(number: int) -> str:
    return f"{number} node{'s' * (number != 1)}"
