"""Caches one study: its trials, of which ended ones are read once, and its parameters."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.distributions import check_distribution_compatibility as check_compatible
from optuna.trial import FrozenTrial

from mitorch_service.models.search.job import trial_id
from mitorch_service.optuna_storage.fields import to_key
from mitorch_service.optuna_storage.ids import study_id_of, trial_id_of
from mitorch_service.optuna_storage.trials import OPTUNAS, TrialView
from mitorch_service.stores.base import Store
from mitorch_service.stores.search.studies import Place

log = logging.getLogger("mitorch")


class KnownStudy:
    """The parts of a study that stay valid while its job exists. Thread-safe."""

    def __init__(self, store: Store, job: Mapping[str, Any]) -> None:
        self._store = store
        self.job_id: str = job["_id"]
        self.id = study_id_of(self.job_id)
        self.arrival: int = job["arrival"]  # differs if a study of this name was deleted and created again
        self.is_optunas = is_optunas(job)  # else the service runs it
        self.next_number: int | None = None  # of a trial, if this process added the last one
        self._lock = threading.RLock()
        self._distributions: dict[str, BaseDistribution] = {}
        self._forget()

    @cached_property
    def view(self) -> TrialView:
        """Reads the study's trials. Raises NotFound, BrokenDocument."""
        return OPTUNAS if self.is_optunas else TrialView.of_job(self._store.jobs.get_job(self.job_id))

    def read(self, document: Mapping[str, Any]) -> FrozenTrial:
        """Converts a training to its trial; the curve is read if it has begun one."""
        records = self._store.runs.curve_records(document["_id"]) if document.get("progress") else iter(())
        return self.view.read(document, trial_id_of(self.id, document["trial"]["number"]), records)

    def trials(self) -> list[FrozenTrial]:
        """All trials by number. Ended ones are not read again, unless the service's counts show that some were deleted
        or run once more, or that trials were added behind the last one read."""
        with self._lock:
            counts = {} if self.is_optunas else self._store.trainings.count_trainings(self.job_id)
            if any(number > counts.get(status, 0) for status, number in self._counted.items()):
                self._forget()
            self._catch_up()
            if len(self._ended) + len(self._open) + self._left_out < sum(counts.values()):
                self._forget()
                self._catch_up()
            return [trial for _, trial in sorted((self._ended | self._open).items())]

    def knows(self, name: str, distribution: BaseDistribution) -> bool:
        """Whether the study is known to have this parameter. Raises ValueError if it has an incompatible
        distribution."""
        known = self._distributions.get(name)
        if known is not None:
            check_compatible(known, distribution)
        return known is not None

    def add_parameter(self, name: str, distribution: BaseDistribution) -> None:
        """Stores the first distribution of a name. Raises ValueError for one that is incompatible with it, KeyError if
        the study was deleted."""
        key = to_key(name)
        while True:
            job = self._store.studies.study_job(self.job_id)
            if job is None:
                raise KeyError(f"The study {self.id} was deleted.")
            text = (job.get("optuna") or {}).get("distributions", {}).get(key)
            if text is not None:
                self._distributions[name] = json_to_distribution(text)
                self.knows(name, distribution)
                return
            count = job.get("optuna_parameters")
            changes = {
                f"optuna.distributions.{key}": distribution_to_json(distribution),
                "optuna_parameters": (count or 0) + 1,
            }
            self._store.studies.change_study(self.job_id, {"optuna_parameters": (count,)}, changes)

    def _forget(self) -> None:
        self._ended: dict[int, FrozenTrial] = {}
        self._open: dict[int, FrozenTrial] = {}
        self._counted: Counter[str] = Counter()  # of the service's trials that have ended, by status
        self._left_out = 0
        self._after: Place | None = None

    def _catch_up(self) -> None:
        again = self._store.studies.study_trials_among([trial_id(self.job_id, number) for number in self._open])
        self._open = {}
        for document in chain(list(again), self._new()):
            trial = self._try_read(document)
            if trial is None:
                self._left_out += 1
                continue
            if trial.state.is_finished():
                self._ended[trial.number] = trial
                self._counted.update([] if self.is_optunas else [document["status"]])
            else:
                self._open[trial.number] = trial

    def _try_read(self, document: Mapping[str, Any]) -> FrozenTrial | None:
        """None for a training of the job that is no trial, such as a final training, and for a damaged one."""
        try:
            if document.get("trial") is None or document["_id"] != trial_id(self.job_id, document["trial"]["number"]):
                return None
            return self.read(document)
        except (LookupError, TypeError, ValueError) as error:
            log.warning("training %s is left out of its study: it cannot be read: %r", document["_id"], error)
            return None

    def _new(self) -> Iterator[dict[str, Any]]:
        for document in self._store.studies.study_trials(self.job_id, self._after):
            yield document
            self._after = (document["arrival"], document["_id"])


def is_optunas(job: Mapping[str, Any]) -> bool:
    """Whether an Optuna script created the study and runs its trials."""
    return "directions" in (job.get("optuna") or {})
