"""Verbs of a run: the writes of one attempt's process, each refused once the attempt is not current."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mitorch_service.errors import StaleAttempt
from mitorch_service.models.result import EpochResult
from mitorch_service.models.status import ACTIVE, OPEN, AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Progress, StepProgress, Training, TrainingErrorInfo
from mitorch_service.stores.epoch_records import end_id, first_id, record_id
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Guarded, Listing, Query, StoredDocument
from mitorch_service.stores.transitions import (
    budget_marks,
    change_training,
    ended_attempt,
    loss_marks,
    reopened_attempt,
    stored_statuses,
)


@dataclass(frozen=True)
class RunEnd:
    """The end of an attempt, as its own process reports it."""

    outcome: AttemptOutcome
    evaluation: Mapping[str, float] | None = None
    error: TrainingErrorInfo | None = None
    artifacts: Mapping[str, str] = field(default_factory=dict)
    trial_value: float | None = None  # only if finite
    trial_values: Sequence[float] = ()  # in its place where a trial has several objectives; only if all are finite
    job_id: str | None = None  # with `trial_values`: whose front they belong to
    reason: str | None = None
    kept: bool = False  # whether its work is on the machine, to be delivered by the next attempt there
    of_data: bool = False  # whether its data set's storage refused it
    preempted: bool = False  # whether it was lost because its node is taken away
    timed_out: bool = False  # preempted by the time limit of its cluster


_PAGE = 1000
_PARTS = 100  # ranges of a curve of which only some epochs are recorded
_DENSE = 8  # of so many epochs one at least was recorded, where records are found by their numbers


class RunVerbs(Verbs):
    """Reads and writes of a training's run. `worker` is a random id of the writing process."""

    def find_attempt(self, training_id: str, attempt: int) -> Training:
        """Returns the training whose attempt is about to start. Raises StaleAttempt if it is gone or superseded."""
        training = self._database.read_one(Training, "trainings", training_id)
        if training is None or training.attempt != attempt:
            raise StaleAttempt(training_id, attempt)
        return training

    def begin_attempt(self, training_id: str, attempt: int, at: datetime, url: str | None = None) -> Training:
        """`find_attempt`, noting that the attempt's process has begun, which is before its training starts. A process
        whose attempt has ended meanwhile, or was started by another one, notes nothing. `url`: where a person can view
        the run, in case its submission could not tell."""
        training = self.find_attempt(training_id, attempt)
        current = training.current_attempt()
        if current is not None and not current.has_begun:
            begun: dict[str, object] = {f"attempts.{attempt - 1}.begun_at": at}
            if url is not None and current.url is None:
                begun[f"attempts.{attempt - 1}.url"] = url
            expect = {"fence": (attempt,), "worker": (None,), "status": stored_statuses(OPEN)}
            self._database.change(Guarded("trainings", training_id, expect, begun))
        return training

    def start_training(
        self, training_id: str, attempt: int, worker: str, at: datetime, resume_epoch: int | None = 0
    ) -> Training:
        """`queued` -> `running`; results of earlier attempts behind `resume_epoch` are dropped (None: none are), the
        others become this attempt's, and the last of them is the progress. Raises StaleAttempt when the attempt is not
        current, was canceled, or another process has started it."""
        before = self.find_attempt(training_id, attempt).current_attempt()
        at = at if before is None else before.not_before(at)
        changes = {f"attempts.{attempt - 1}.started_at": at, "worker": worker}
        expect = {"worker": (None, worker), "cancel_requested_at": (None,)}
        if self._database.change(_sign_of_life(training_id, attempt, at, expect, changes)) is None:
            raise StaleAttempt(training_id, attempt)
        if resume_epoch is not None:
            self.drop_results(training_id, attempt, resume_epoch)
        if attempt > 1:
            self._take_over_results(training_id, attempt)
        training = self.find_attempt(training_id, attempt)  # another one may have been claimed since
        last = self.last_result(training_id) if resume_epoch else None
        if last is not None:
            progress = _progress(last, training.max_epochs)
            shown = _sign_of_life(training_id, attempt, None, {}, {"progress": progress.to_document()})
            if self._database.change(shown) is None:  # superseded since it was started
                raise StaleAttempt(training_id, attempt)
            training = training.model_copy(update={"progress": progress})
        return training

    def record_epoch(self, training_id: str, attempt: int, max_epochs: int, result: EpochResult) -> bool:
        """Stores an epoch's result (a repeat overwrites it) and shows it as the training's progress. Returns whether
        the run was asked to stop. Raises StaleAttempt."""
        progress = _progress(result, max_epochs)
        document = result_document(training_id, attempt, result)
        change = _sign_of_life(training_id, attempt, None, {}, {"progress": progress.to_document()})
        after = self._database.change_then_put(change, "training_results", document, fence="attempt")
        if after is None:
            raise StaleAttempt(training_id, attempt)
        return after.get("cancel_requested_at") is not None

    def drop_results(self, training_id: str, attempt: int, epoch: int) -> None:
        """Deletes the results of earlier attempts behind this epoch: never those of a later one, which has superseded
        the caller meanwhile."""
        behind = record_id(training_id, epoch + 1), end_id(training_id)
        self._database.remove_between("training_results", *behind, unless=("attempt", attempt))

    def _take_over_results(self, training_id: str, attempt: int) -> None:
        """Marks what earlier attempts have recorded as this one's, which goes on from it: an earlier one that was
        stopped in the midst of its calls, and continues now, neither drops nor overwrites it."""
        for page in self._pages(training_id):
            if not all(isinstance(one.get("attempt"), int) and one["attempt"] >= attempt for one in page):
                behind_last = page[-1]["_id"] + "\0"
                self._database.raise_between("training_results", page[0]["_id"], behind_last, "attempt", attempt)

    def heartbeat(self, training_id: str, attempt: int, at: datetime) -> bool:
        """Records a sign of life between epochs. Returns whether the run was asked to stop. Raises StaleAttempt."""
        after = self._database.change(_sign_of_life(training_id, attempt, None, {}, {"heartbeat_at": at}))
        if after is None:
            raise StaleAttempt(training_id, attempt)
        return after.get("cancel_requested_at") is not None

    def record_step(self, training_id: str, step: StepProgress, at: datetime) -> bool:
        """Records how far a run is within an epoch, as a sign of life. Returns whether it was asked to stop. Raises
        StaleAttempt."""
        changes = {"heartbeat_at": at, "step": step.to_document()}
        after = self._database.change(_sign_of_life(training_id, step.attempt, None, {}, changes))
        if after is None:
            raise StaleAttempt(training_id, step.attempt)
        return after.get("cancel_requested_at") is not None

    def finish_training(self, training_id: str, attempt: int, worker: str | None, at: datetime, end: RunEnd) -> None:
        """Ends the training with its run; a lost attempt fails it. A repeat of the same call changes nothing. Raises
        StaleAttempt."""
        lost = end.outcome == AttemptOutcome.LOST
        status = TrainingStatus.FAILED if lost else TrainingStatus(end.outcome.value)
        changes: dict[str, object] = {
            **ended_attempt(attempt, end.outcome, end.reason, at),
            **(loss_marks(attempt, end.preempted, end.timed_out) if lost else {}),
            "evaluation": None if end.evaluation is None else dict(end.evaluation),
            "error": None if end.error is None else end.error.to_document(),
            "artifacts": dict(end.artifacts),
            "fence": 0,
        }
        if end.trial_value is not None:
            changes["trial.value"] = end.trial_value
        if end.trial_values:
            changes |= {"trial.values": list(end.trial_values), "trial.unmerged": end.job_id}
        expect = {"fence": (attempt,), "worker": (worker,)}
        if self._database.change(change_training(training_id, OPEN, status, at, expect, changes)) is not None:
            return
        ended_by_us = {"attempt": (attempt,), "worker": (worker,), "status": (status,)}
        if self._database.change(Guarded("trainings", training_id, ended_by_us, {"attempt": attempt})) is None:
            raise StaleAttempt(training_id, attempt)

    def retry_attempt(self, training_id: str, attempt: int, worker: str | None, at: datetime, end: RunEnd) -> None:
        """Ends an attempt but not the training, which goes back to `new` for the next one. `worker` None: no process
        has started its training. Raises StaleAttempt."""
        marks = {"kept": end.kept, "of_data": end.of_data}
        row = self._row_of_attempt(training_id, attempt)
        changes = {
            **{f"attempts.{attempt - 1}.{mark}": True for mark, is_set in marks.items() if is_set},
            **ended_attempt(attempt, end.outcome, end.reason, at),
            **budget_marks(row, attempt, end.outcome, end.preempted, end.timed_out),
            "error": None if end.error is None else end.error.to_document(),
            "fence": 0,
        }
        expect = {"attempt": (attempt,), "worker": (worker,)}
        change = change_training(training_id, ACTIVE, TrainingStatus.NEW, at, expect, changes)
        if self._database.change(change) is None:
            raise StaleAttempt(training_id, attempt)

    def curve(self, training_id: str) -> Listing[EpochResult]:
        """Returns all recorded epochs of a training, first to last."""
        return self._database.read(EpochResult, _results(training_id))

    def last_result(self, training_id: str) -> EpochResult | None:
        """Returns the recorded result with the highest epoch; None if there is none that can be read."""
        query = replace(_results(training_id), order=(("_id", -1),), limit=1)
        return next(iter(self._database.read(EpochResult, query).items), None)

    def last_results(self, training_id: str, count: int) -> list[EpochResult]:
        """Returns the last recorded epochs that can be read, last first."""
        query = replace(_results(training_id), order=(("_id", -1),), limit=count)
        return self._database.read(EpochResult, query).items

    def curve_records(self, training_id: str, after: int = 0) -> Iterator[StoredDocument]:
        """Yields the recorded epochs behind epoch `after` as they are stored, reading a thousand at a time."""
        for page in self._pages(training_id, after):
            yield from page

    def _pages(self, training_id: str, after: int = 0) -> Iterator[list[StoredDocument]]:
        first = record_id(training_id, after + 1) if after > 0 else first_id(training_id)
        while True:
            page = list(self._database.find(replace(_results(training_id, first), limit=_PAGE)))
            if page:
                yield page
            if len(page) < _PAGE:
                return
            first = page[-1]["_id"] + "\0"  # the next text in the order of texts

    def spread_records(self, training_id: str, most: int, after: int = 0) -> list[StoredDocument]:
        """Returns the recorded epochs behind epoch `after` in their order: all of them, or at most about `most`, spread
        evenly over them, with the last one. What is left out is not read."""
        last = next((result.epoch for result in self.last_results(training_id, 1)), after)
        if last - after <= most:
            return list(self.curve_records(training_id, after))
        distance = (last - after) / most
        epochs = dict.fromkeys([*(after + 1 + int(number * distance) for number in range(most)), last])
        found = self._numbered(training_id, list(epochs))
        # Where only some epochs were recorded, such as each hundredth step, hardly one has a number that was guessed.
        return found if len(found) >= most // _DENSE else self._by_parts(training_id, after, last, most)

    def _numbered(self, training_id: str, epochs: Sequence[int]) -> list[StoredDocument]:
        found: list[StoredDocument] = []
        for start in range(0, len(epochs), _PAGE):
            ids = tuple(record_id(training_id, epoch) for epoch in epochs[start : start + _PAGE])
            found += self._database.find(Query("training_results", {"_id": ids}, order=(("_id", 1),)))
        return found

    def _by_parts(self, training_id: str, after: int, last: int, most: int) -> list[StoredDocument]:
        """The beginning of each of some ranges of epochs, by the index."""
        edges = [after + 1 + number * (last - after) // _PARTS for number in range(_PARTS)]
        found: list[StoredDocument] = []
        for low, high in zip(edges, [*edges[1:], last], strict=True):
            between = ("_id", record_id(training_id, low), record_id(training_id, high))
            query = Query("training_results", between=between, order=(("_id", 1),), limit=max(1, most // _PARTS))
            found += self._database.find(query)
        return [*found, *self._numbered(training_id, [last])]


def _sign_of_life(
    training_id: str,
    attempt: int,
    at: datetime | None,
    expect: Mapping[str, tuple[object, ...]],
    changes: Mapping[str, object],
) -> Guarded:
    """Confirms `running`. A run may write while its training is queued (it is faster than the controller), running,
    or back at `new` because it was declared lost: as long as no other attempt has begun, it is taken back rather
    than run twice."""
    expect = {"fence": (attempt,), **expect}
    taken_back = {**reopened_attempt(attempt), "error": None}
    return change_training(training_id, OPEN, TrainingStatus.RUNNING, at, expect, {**taken_back, **changes})


def _progress(result: EpochResult, max_epochs: int) -> Progress:
    return Progress(
        epoch=result.epoch,
        max_epochs=max_epochs,
        train_loss=result.train_loss,
        val_loss=result.val_loss,
        metrics=result.metrics,
        epoch_seconds=result.epoch_seconds,
        step=result.step,
        at=result.finished_at,
    )


def _results(training_id: str, first: str | None = None) -> Query:
    low = first_id(training_id) if first is None else first
    return Query("training_results", between=("_id", low, end_id(training_id)), order=(("_id", 1),))


def result_document(training_id: str, attempt: int, result: EpochResult) -> StoredDocument:
    """Returns the record of an epoch as it is stored."""
    id = record_id(training_id, result.epoch)
    return {"_id": id, "training_id": training_id, "attempt": attempt, **result.to_document()}
