"""The trainings that one is best compared with: what it starts from, and the one before it of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mitorch_service.insights.lookup import NOT_THERE
from mitorch_service.insights.training.compare import compare
from mitorch_service.models.config.script import code_of
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.tables import IndexOrder, IndexRange

MOST_SHOWN = 60  # settings
_CODE = "script.code."


@dataclass(frozen=True)
class Earlier:
    """Another training, and what is not as there: dotted path -> its value there, and here; None: it has none."""

    relation: str
    training: Training
    settings: Mapping[str, tuple[object, object]]
    left_out: int  # further settings
    code_differs: bool  # both have code

    @property
    def label(self) -> str:
        """Its name, or the beginning of its id."""
        return self.training.name or self.training.id[:8]


def read_earlier(store: Store, training: Training) -> list[Earlier]:
    """Reads those that are there, each by its id or by the index of names, and compares their configs."""
    found: dict[str, str] = {}
    base, lineage = training.config.get("base"), training.trial.lineage if training.trial else None
    if isinstance(base, str):
        found[base] = "base"
    if lineage:
        found.setdefault(lineage[-1].parent, "parent")
    if previous := _previous(store, training):
        found.setdefault(previous, "the one before it of the same name")
    return [one for key, relation in found.items() if (one := _compared(store, training, relation, key)) is not None]


def _compared(store: Store, training: Training, relation: str, key: str) -> Earlier | None:
    try:
        kind, id = store.trainings.resolve_id(key)
        other = store.trainings.get_training(id) if kind == "training" else None
    except NOT_THERE:
        return None  # it is gone, or no id of ours; its lineage says so
    if other is None or other.id == training.id:
        return None
    return compared(training, other, relation)


def compared(training: Training, other: Training, relation: str = "") -> Earlier:
    """Compares one training with another."""
    differences = compare([other, training]).differences
    settings = {path: (values[0], values[1]) for path, values in differences.items() if path != f"{_CODE}archive"}
    shown = dict(list(settings.items())[:MOST_SHOWN])
    codes = [code_of(one.config) for one in (other, training)]
    differs = None not in codes and len({code.archive for code in codes if code is not None}) > 1
    return Earlier(relation, other, shown, len(settings) - len(shown), differs)


def _previous(store: Store, training: Training) -> str | None:
    if training.name is None or training.job_id is not None:  # the trials of a search all have its name
        return None
    named = IndexRange(IndexOrder.ARRIVAL, "name", training.name)
    bulk = ("config", "error", "attempts", "progress", "evaluation", "user_note", "status_times")
    rows = store.tables.rows(named, True, 1, (training.arrival, training.id), bulk)
    return next((str(row["_id"]) for row in rows if row.get("job_id") is None), None)
