"""One version of a data set: its contents, its other versions, and who has trained on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mitorch_service.insights.datasets.dataset_changes import Changes, changes_between
from mitorch_service.models.dataset import Dataset, DatasetRef
from mitorch_service.models.search.objectives import usual_direction
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import TrainingFilter

NAMES = 100  # of a page of the list
_VERSIONS = 200
_LOOKED_AT = 300  # newest trainings on any version
_SHOWN = 20


@dataclass(frozen=True)
class Use:
    """The newest trainings on a version."""

    rows: Sequence[TrainingRow]  # the newest first
    best: TrainingRow | None  # of those that were looked at
    metric: str | None  # in which it is the best
    found: int
    looked_at_all: bool  # False: older ones were not looked at


@dataclass(frozen=True)
class DatasetReport:
    """A version with what belongs to it."""

    dataset: Dataset
    versions: Sequence[Dataset]  # of the same name, the newest first, without contents
    changes: Changes | None  # since the version before; None: there is none
    use: Use


@dataclass(frozen=True)
class DatasetLine:
    """A data set in the list: its newest version."""

    newest: Dataset
    versions: int
    last: TrainingRow | None  # the newest training on any version


def read_dataset_lines(store: Store, after: str = "") -> tuple[list[DatasetLine], str | None]:
    """A page of data sets by name, those behind `after`; and the name behind which the next page begins, if any."""
    counts = Counter(one.name for one in store.datasets.list_datasets().items)
    names = sorted(name for name in counts if name > after)
    lines = []
    for name in names[:NAMES]:
        rows = store.trainings.list_trainings(TrainingFilter(dataset=name), 1).items
        newest = store.datasets.get_dataset(DatasetRef(name=name))
        lines.append(DatasetLine(newest, counts[name], rows[0] if rows else None))
    return lines, names[NAMES - 1] if len(names) > NAMES else None


def read_dataset_report(store: Store, ref: DatasetRef) -> DatasetReport:
    """Reads a version, the newest if none is named. Raises NotFound, BrokenDocument."""
    dataset = store.datasets.get_dataset(ref)
    versions = store.datasets.versions_of(dataset.name, _VERSIONS)
    before = next((one for one in versions if one.version < dataset.version), None)
    changes = None if before is None else changes_between(store.datasets.get_dataset(before.ref), dataset)
    return DatasetReport(dataset, versions, changes, _use(store, dataset))


def _use(store: Store, dataset: Dataset) -> Use:
    newest = store.trainings.list_trainings(TrainingFilter(dataset=dataset.name), _LOOKED_AT).items
    rows = [row for row in newest if row.dataset == dataset.ref]
    metric = main_metric(rows)
    measured = [row for row in rows if metric is not None and metric in (row.evaluation or {})]
    sign = -1 if metric is not None and usual_direction(metric) == "minimize" else 1
    best = max(measured, key=lambda row: sign * (row.evaluation or {})[metric or ""], default=None)
    return Use(rows[:_SHOWN], best, metric, len(rows), len(newest) < _LOOKED_AT)


def main_metric(rows: Iterable[TrainingRow]) -> str | None:
    """The metric that most evaluations have, a loss only if there is nothing else; of equally many the first."""
    counts = Counter(name for row in rows for name in row.evaluation or {})
    return max(counts, key=lambda name: (not name.endswith("loss"), counts[name]), default=None)
