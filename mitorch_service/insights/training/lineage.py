"""The origin of a training: the training, search or members of a population that it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mitorch_service.insights.lookup import NOT_THERE
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Training, TrainingRow
from mitorch_service.stores.base import Store


@dataclass(frozen=True)
class Relative:
    """A training or search that this one is related to; `kind` is None where it is gone, or is no id of ours."""

    relation: str
    key: str
    kind: str | None
    name: str | None = None
    status: TrainingStatus | str | None = None


@dataclass(frozen=True)
class Lineage:
    """The relatives of a training, and its data set."""

    relatives: Sequence[Relative]
    dataset: DatasetRef


def read_lineage(store: Store, training: Training) -> Lineage:
    """Reads the relatives by their ids: nothing is searched."""
    found = []
    base = training.config.get("base")
    if isinstance(base, str):
        found.append(_relative(store, "starts from the weights of", base))
    if training.belongs_to is not None:
        words = "final training of" if training.refit is not None else "trial of"
        found.append(_relative(store, words, training.belongs_to))
    for step in (training.trial.lineage or []) if training.trial else []:
        found.append(_relative(store, f"copied at epoch {step.epoch} from", step.parent))
    return Lineage(found, training.dataset)


def _relative(store: Store, relation: str, key: str) -> Relative:
    try:
        kind, whole = store.trainings.resolve_id(key)
        row: TrainingRow | object = store.trainings.get_row(whole) if kind == "training" else store.jobs.get_job(whole)
    except NOT_THERE:
        return Relative(relation, key, None)
    return Relative(relation, whole, kind, getattr(row, "name", None), getattr(row, "status", None))
