"""Evicts a real run on purpose, to see that its training goes on as if nothing had happened, and what it costs.

The same training is queued twice on one cluster. From the run of one, after some epochs, the right to write is taken,
and its cluster is asked to end it: as with a run whose node is lost, nothing is reported any more, and the next pass
that sees the run gone starts the training again. The other one, left alone, has the curve that it should have had.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from mitorch_service.backends.base import Backend
from mitorch_service.errors import NotAllowed
from mitorch_service.models.result import EpochResult
from mitorch_service.models.status import ENDED, AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store


@dataclass(frozen=True)
class DrillReport:
    """The course of the training whose run was evicted."""

    evicted: str  # training
    undisturbed: str  # training
    status: str  # of the evicted training
    outcomes: list[str]  # of its attempts
    epochs: int
    evicted_after: int  # epochs
    first_new_epoch: int | None  # of the attempt that resumed; None: none did
    difference: str | None  # the first one between the two curves; None: they are the same
    noticed: float | None  # seconds from the eviction until the attempt was ended
    waited: float | None  # seconds from there until the next attempt started
    lost: float | None  # seconds by which the first new epoch was later than it would have been

    @property
    def passed(self) -> bool:
        """Whether it resumed, and gave the same curve."""
        resumed = self.outcomes[:1] == [AttemptOutcome.LOST] and self.first_new_epoch is not None
        return resumed and self.difference is None and self.status == TrainingStatus.COMPLETED


class Drill:
    """One drill on one cluster."""

    def __init__(self, store: Store, backend: Backend, evicted: Training, undisturbed: Training, after: int) -> None:
        """`after`: the epoch after which the run is evicted."""
        self._store = store
        self._backend = backend
        self._evicted = evicted.id
        self._undisturbed = undisturbed.id
        self._after = after
        self._at: datetime | None = None  # when the run was evicted
        self._last: EpochResult | None = None  # before that

    def run(self, tick: Callable[[], object], in_time: Callable[[], bool], wait: Callable[[], None]) -> DrillReport:
        """Makes passes until both trainings have ended. `in_time`: whether there is time for another one. Raises
        NotAllowed if the run ends before it could be evicted, or the time is over; both are canceled then."""
        while not self._ended():
            if not in_time():
                self._give_up("unfinished after the time that it was given", "Give more --minutes.")
            tick()
            self._evict_when_due()
            wait()
        if self._at is None:
            self._give_up("at its end", "Its run could not be evicted before: give it more epochs.")
        return self._report()

    def _ended(self) -> bool:
        return all(self._store.trainings.get_row(id).status in ENDED for id in (self._evicted, self._undisturbed))

    def _evict_when_due(self) -> None:
        """Takes from the run the right to write, so that it can report nothing, and has the cluster end it."""
        row = self._store.trainings.get_row(self._evicted)
        attempt, last = row.current_attempt(), self._store.runs.last_result(row.id)
        if self._at is not None or row.status != TrainingStatus.RUNNING or last is None or attempt is None:
            return
        if last.epoch < self._after:
            return
        now = self._store.now()
        if self._store.queue.note_silence(row.id, attempt.number, now) and self._store.queue.revoke_fence(
            row.id, attempt.number
        ):
            self._at, self._last = now, self._store.runs.last_result(row.id)
            self._backend.cancel(attempt.run_name)

    def _give_up(self, state: str, remedy: str) -> None:
        for id in (self._evicted, self._undisturbed):
            if self._store.trainings.get_row(id).status not in ENDED:
                self._store.queue.request_cancel(id, self._store.now())
        raise NotAllowed("training", self._evicted, state, "drilled", remedy)

    def _report(self) -> DrillReport:
        training = self._store.trainings.get_training(self._evicted)
        curves = [self._store.runs.curve(id).items for id in (self._evicted, self._undisturbed)]
        first, later = training.attempts[0], training.attempts[1] if len(training.attempts) > 1 else None
        before = 0 if self._last is None else self._last.epoch
        new = None if later is None or later.started_at is None else _first_since(curves[0], later.started_at)
        return DrillReport(
            evicted=self._evicted,
            undisturbed=self._undisturbed,
            status=training.status,
            outcomes=[attempt.outcome or "" for attempt in training.attempts],
            epochs=len(curves[1]),
            evicted_after=before,
            first_new_epoch=None if new is None else new.epoch,
            difference=_difference(*curves),
            noticed=_seconds(self._at, first.ended_at),
            waited=_seconds(first.ended_at, later.started_at if later else None),
            lost=_lost(new, curves[1], self._last),
        )


def _first_since(curve: list[EpochResult], at: datetime) -> EpochResult | None:
    return next((one for one in curve if one.finished_at >= at), None)


def _difference(got: list[EpochResult], wanted: list[EpochResult]) -> str | None:
    if [one.epoch for one in got] != [one.epoch for one in wanted]:
        return f"it has {len(got)} epochs, the other one {len(wanted)}"
    for one, other in zip(got, wanted, strict=True):
        if (mine := _values(one)) != (others := _values(other)):
            names = [name for name in others if mine.get(name) != others[name]]
            name = (names or list(mine))[0]
            return f"epoch {one.epoch}: {name} is {mine.get(name)}, not {others.get(name)}"
    return None


def _values(result: EpochResult) -> Mapping[str, float | None]:
    """The values that do not depend on the speed of the machine."""
    return {"train_loss": result.train_loss, "val_loss": result.val_loss, **result.metrics}


def _lost(new: EpochResult | None, wanted: list[EpochResult], last: EpochResult | None) -> float | None:
    """How much later the first new epoch ended than it would have, had all since the eviction taken the usual time."""
    if new is None or last is None or len(wanted) < 2:
        return None
    usual = (wanted[-1].finished_at - wanted[0].finished_at) / (len(wanted) - 1)
    return max(timedelta(), new.finished_at - last.finished_at - usual * (new.epoch - last.epoch)).total_seconds()


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return None if begin is None or end is None else max(0.0, (end - begin).total_seconds())
