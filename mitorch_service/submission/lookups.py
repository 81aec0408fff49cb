"""Looks up in the database what the checks of a submission need."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from mitorch_service.errors import BrokenDocument, NotFound, Problem
from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.base import Store
from mitorch_service.submission.sas_expiry import expiry_problem
from mitorch_service.wording.suggestion import did_you_mean

_CACHED = 10_000  # data sets, and trainings named as a base
_PLANNED = frozenset({"train", "val"})


class Lookups:
    """Caches the answers, as a file of a million lines refers to the same things. Methods raise StoreUnavailable.

    `dataset` returns the registered data set, at a version, or a problem; `splits` returns the names of the splits of
    one at a version; `base` and `warm_start` return a problem, or None. `planned` is a data set that will be registered
    before anything is queued, with train and val.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        planned: DatasetRef | None = None,
    ) -> None:
        self.dataset = lru_cache(_CACHED)(lambda ref: ref if ref == planned else _find_dataset(store, ref, clock()))
        self.splits = lru_cache(_CACHED)(
            lambda ref: _PLANNED if ref == planned else frozenset(store.datasets.get_dataset(ref).splits())
        )
        self.base = lru_cache(_CACHED)(lambda id: _check_base(store, id))
        self.warm_start = lru_cache(_CACHED)(lambda id: _check_warm_start(store, id))

    def pin(self, ref: DatasetRef | None, problems: list[Problem], optional: bool) -> DatasetRef | None:
        """The data set at a registered version, the newest if none is named; adds to `problems` what is wrong."""
        if ref is None and optional:
            return NO_DATASET
        if ref is None:
            if not any(problem.path.startswith("dataset") for problem in problems):
                message = 'is required: write "dataset": "NAME" or "NAME:VERSION" in the file, or give --dataset'
                problems.append(Problem("dataset", message))
            return None
        found = self.dataset(ref)
        if isinstance(found, DatasetRef):
            return found
        problems.append(found)
        return None

    def base_problems(self, base: object) -> list[Problem]:
        """The problem with the training whose weights are a training's `base`."""
        problem = self.base(base) if isinstance(base, str) else None
        return [problem] if problem else []


def _find_dataset(store: Store, ref: DatasetRef, now: datetime) -> DatasetRef | Problem:
    try:
        dataset = store.datasets.get_dataset(ref)
        return expiry_problem(dataset, now) or dataset.ref
    except (NotFound, BrokenDocument):
        registered = [str(dataset.ref) for dataset in store.datasets.list_datasets().items]
        hint = did_you_mean(str(ref), registered) or did_you_mean(
            ref.name, [name.rpartition(":")[0] for name in registered]
        )
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
    if training.imported_from is not None:
        came = training.imported_from.system
        return Problem("base", f"the training {base} was imported from {came}: its weights are not here")
    return None


def _check_warm_start(store: Store, id: str) -> Problem | None:
    from mitorch_service.submission.checks.check_search import warm_start_problem

    return warm_start_problem(store, id)
