"""The work that is replayed: trainings with the times at which they were submitted and how long they take."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Work:
    """One training. Times are seconds."""

    submitted: float  # since the beginning of the workload
    seconds: float  # that it holds its nodes
    nodes: int = 1
    user: str = ""
    team: str = ""
    priority: int = 100
    dataset: str = "data"  # trainings on the same data set with as many epochs take about as long: see backfilling
    epochs: int = 0
    gpus: int | None = None  # of a node
    memory: float | None = None  # GiB of a node
    clusters: tuple[str, ...] | None = None  # only these


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes of a cluster in a replay."""

    name: str
    nodes: int
    price: float = 0.0  # of a node for an hour
    gpus: int | None = None
    memory: float | None = None  # GiB
    data: tuple[str, ...] = ()  # patterns of the data sets that are near


@dataclass(frozen=True, slots=True)
class Placed:
    """One training as it ran in a replay; seconds since the beginning."""

    work: Work
    cluster: str
    start: float
    end: float
    backfilled: bool = False


@dataclass(frozen=True)
class Course:
    """One course of events."""

    placed: list[Placed] = field(default_factory=list)  # in the order of their starts
    never: list[Work] = field(default_factory=list)  # what no cluster can hold
    passes: int = 0
