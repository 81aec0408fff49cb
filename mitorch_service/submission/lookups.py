"""Looks up in the database what a submission refers to: data sets, trainings to start from, earlier searches."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from mitorch_service.errors import BrokenDocument, NotFound, Problem
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.validation import nearest
from mitorch_service.stores.base import Store
from mitorch_service.submission.sas_expiry import expiry_problem

_CACHED = 10_000  # data sets, and trainings named as a base


class Lookups:
    """Cached lookups, as the configs of a large file refer to the same things. Raise StoreUnavailable.

    `dataset` returns the registered data set, at a version, or a problem; `base` and `warm_start` return a problem, or
    None."""

    def __init__(self, store: Store, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.dataset = lru_cache(_CACHED)(lambda ref: _find_dataset(store, ref, clock()))
        self.base = lru_cache(_CACHED)(lambda id: _check_base(store, id))
        self.warm_start = lru_cache(_CACHED)(lambda id: _check_warm_start(store, id))


def _find_dataset(store: Store, ref: DatasetRef, now: datetime) -> DatasetRef | Problem:
    try:
        dataset = store.datasets.get_dataset(ref)
        return expiry_problem(dataset, now) or dataset.ref
    except (NotFound, BrokenDocument):
        registered = [str(dataset.ref) for dataset in store.datasets.list_datasets().items]
        near = nearest(str(ref), registered) or nearest(ref.name, [name.rpartition(":")[0] for name in registered])
        hint = f"did you mean {near!r}? " if near else ""
        known = f"registered: {', '.join(registered)}" if registered else "none is: see midataset register"
        return Problem("dataset", f"{str(ref)!r} is not registered; {hint}{known}")


def _check_base(store: Store, base: str) -> Problem | None:
    try:
        training = store.trainings.get_training(base)
    except NotFound:
        return Problem("base", f"there is no training {base!r}; give the whole id of a completed one")
    except BrokenDocument as error:
        return Problem("base", str(error))
    if training.status != TrainingStatus.COMPLETED:
        return Problem("base", f"the training {base} is {training.status}; only a completed one has weights")
    return None


def _check_warm_start(store: Store, id: str) -> Problem | None:
    # Imported here, as the submission of a training does not need it.
    from mitorch_service.submission.check_search import warm_start_problem

    return warm_start_problem(store, id)
