"""Streams a training's epochs into the store from a thread of its own: a slow or absent database delays nothing. Only
a trial that its search may end waits for the answer, and not for long."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime

from mitorch_service.errors import DATABASE_TROUBLE, StaleAttempt, StoreError, StoreUnavailable
from mitorch_service.models.result import EpochResult
from mitorch_service.models.training import StepProgress
from mitorch_service.runs.search.search_decision import SearchDecision
from mitorch_service.runs.search.trial_pausing import TrialPausing
from mitorch_service.runs.search.trial_stopping import TrialStopping
from mitorch_service.runs.step_reports import StepReports
from mitorch_service.runs.threads import THREADS, Threads
from mitorch_service.runs.unwritten_results import UnwrittenResults
from mitorch_service.stores.base import Store
from mitorch_service.stores.patience import backoff
from mitorch_service.training.loop.reporter import Reporter, TrainingPlan

_HEARTBEAT_SECONDS = 30.0
_LATE_SECONDS = 0.5  # after which what the database has not taken is on disk, too
_ANSWER_SECONDS = 10.0  # to wait for a search's decision; one that comes later is obeyed then
_MAX_REFUSALS = 5  # of one record by a database that does answer, after which the run gives up

log = logging.getLogger("mitorch")


class StoreReporter(Reporter):
    """Writes epochs in order, and repeats each until the store has taken it."""

    def __init__(
        self,
        store: Store,
        training_id: str,
        attempt: int,
        max_epochs: int,
        clock: Callable[[], datetime],
        stop: threading.Event,
        also: Callable[[EpochResult], None] | None = None,
        stopping: TrialStopping | TrialPausing | None = None,
        drops_earlier: bool = False,
        reports_steps: bool = False,
        unwritten: UnwrittenResults | None = None,
        restamps: bool = False,
        threads: Threads = THREADS,
    ) -> None:
        """`stop` is set from outside (SIGTERM) or here: when a person cancels the training, its search ends it, or the
        attempt is superseded. `also` receives each epoch's result and must return at once. `drops_earlier`: results of
        earlier attempts behind the first report are dropped. `reports_steps`: the last step is recorded, too, once a
        second. `unwritten` keeps on disk what the database does not take. `restamps`: results carry the time of this
        machine's clock, which may be minutes off, and get that of `clock`."""
        self._store = store
        self._id = training_id
        self._attempt = attempt
        self._max_epochs = max_epochs
        self._clock = clock
        self._stop = stop
        self._also = also
        self._stopping = stopping
        self._restamps = restamps
        self._drops_earlier = drops_earlier
        self._steps = StepReports(attempt) if reports_steps else None
        self._threads = threads
        if self.decision is not None:  # an earlier attempt had come as far, and died
            stop.set()
        self._waiting: queue.Queue[EpochResult | StepProgress | threading.Event] = threads.queue()
        self._closing = threads.event()
        self._unwritten = unwritten
        self._pending: deque[EpochResult] = deque()  # reported and not recorded
        self._is_behind = False  # whether these are on disk, too
        self._progress_at = 0.0  # since when the first of them waits
        self._lock = threading.Lock()
        self._failure: StaleAttempt | StoreError | None = None  # why nothing is written any more
        self._thread = threads.start(self._work, "results")

    def training_started(self, plan: TrainingPlan) -> None:
        self._max_epochs = self._max_epochs or plan.epochs  # of a training by steps it depends on the data
        log.info(
            "training on %s: %d images, %d for validation, %d classes, %s parameters, %d steps an epoch%s",
            plan.device,
            plan.train_images,
            plan.val_images,
            plan.classes,
            f"{plan.parameters:,}",
            plan.steps_per_epoch,
            "" if plan.max_steps is None else f", {plan.max_steps} steps in all",
        )
        if self._steps is not None:
            self._waiting.put(self._steps.beginning(plan.steps_per_epoch))

    def step_ended(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """A record for each step would be too much for the database."""
        due = None if self._steps is None else self._steps.due(epoch, step, steps, loss)
        if due is not None:
            self._waiting.put(due)

    def epoch_ended(self, result: EpochResult) -> None:
        if self._restamps:
            result = result.model_copy(update={"finished_at": self._clock()})
        train, val = ("-" if loss is None else f"{loss:.4f}" for loss in (result.train_loss, result.val_loss))
        metrics = "".join(f"  {name} {value:.4f}" for name, value in result.metrics.items())
        step = "" if result.step is None else f" (step {result.step})"
        log.info("epoch %d%s  train_loss %s  val_loss %s%s", result.epoch, step, train, val, metrics)
        self._remember(result)
        self._waiting.put(result)
        if self._also is not None:
            self._also(result)
        if self._stopping is not None:
            answered = self._threads.event()
            self._waiting.put(answered)
            self._await_answer(answered)

    @property
    def decision(self) -> SearchDecision | None:
        """The decision by which the trial ends here, if its search has made one."""
        return None if self._stopping is None else self._stopping.decision

    def note(self, text: str) -> None:
        log.info("%s", text)

    def should_stop(self) -> bool:
        self._keep_late()  # asked at each step, of a script several times a second
        return self._stop.is_set()

    def flush(self, patience_seconds: float) -> None:
        """Waits until everything reported is in the store. Raises StaleAttempt if this attempt is no longer current,
        StoreUnavailable once the patience is over, and StoreError if the store refused a record for good."""
        written = self._threads.event()
        self._waiting.put(written)
        in_time = written.wait(patience_seconds)
        if self._failure is not None:
            raise self._failure
        if not in_time:
            raise StoreUnavailable(
                "of the results",
                f"did not take them for {patience_seconds:.0f} s",
                "The attempt is repeated.",
            )

    def keep_unwritten(self) -> bool:
        """Keeps on disk what is not recorded yet, also while a first write hangs. Returns whether nothing is lost if
        this process is killed now; False for an attempt that was superseded."""
        if isinstance(self._failure, StaleAttempt):
            return False
        with self._lock:
            if not self._pending:
                return True
        self._fall_behind()
        return self._unwritten is not None and self._unwritten.keeps

    def close(self) -> None:
        """Ends the thread; records that are not written yet are dropped."""
        self._closing.set()
        self._waiting.put(self._threads.event())
        self._thread.join(timeout=60)

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                item = self._waiting.get(timeout=_HEARTBEAT_SECONDS)
            except queue.Empty:
                self._write(lambda: self._store.runs.heartbeat(self._id, self._attempt, self._clock()), repeat=False)
                continue
            if isinstance(item, threading.Event):
                item.set()
            elif isinstance(item, StepProgress):
                self._write_step(item)
            elif self._failure is None:
                self._write_epoch(item)

    def _await_answer(self, answered: threading.Event) -> None:
        """Waits for the decision of the search about what is pending."""
        if self._unwritten is None or not self._unwritten.keeps:
            answered.wait(_ANSWER_SECONDS)
        elif not answered.wait(_LATE_SECONDS):
            self._fall_behind()
            answered.wait(_ANSWER_SECONDS - _LATE_SECONDS)

    def _keep_late(self) -> None:
        """Keeps on disk what a database that hangs, and has refused nothing yet, does not take."""
        if self._pending and not self._is_behind and time.monotonic() - self._progress_at > _LATE_SECONDS:
            self.keep_unwritten()

    def _remember(self, result: EpochResult) -> None:
        self._keep_late()
        with self._lock:
            if not self._pending:
                self._progress_at = time.monotonic()
            self._pending.append(result)
            if self._is_behind and self._unwritten is not None:
                self._unwritten.add([result])

    def _fall_behind(self) -> None:
        """Keeps on disk what waits: this process may be killed before the database is back."""
        with self._lock:
            if not self._is_behind and self._unwritten is not None:
                self._unwritten.add(self._pending)
            self._is_behind = True

    def _catch_up(self) -> None:
        """Notes that one more is recorded."""
        with self._lock:
            self._pending.popleft()
            self._progress_at = time.monotonic()
            if self._is_behind and not self._pending:
                self._is_behind = False
                if self._unwritten is not None:
                    self._unwritten.forget()

    def _write_epoch(self, result: EpochResult) -> None:
        self._write(
            lambda: self._store.runs.record_epoch(self._id, self._attempt, self._max_epochs, result), repeat=True
        )
        if self._failure is None and not self._closing.is_set():
            self._catch_up()
        if self._drops_earlier:
            self._drops_earlier = False
            self._write(lambda: self._drop_behind(result.epoch), repeat=True)
        stopping = self._stopping
        if stopping is not None:
            self._write(lambda: stopping.ends_after(result), repeat=True)

    def _write_step(self, step: StepProgress) -> None:
        """Leaves out one that others wait behind, because it is old."""
        if self._failure is None and (step.step == 0 or self._waiting.empty()):
            self._write(lambda: self._store.runs.record_step(self._id, step, self._clock()), repeat=False)

    def _drop_behind(self, epoch: int) -> bool:
        # Also those that this attempt has recorded for earlier ones: it has reported nothing else yet.
        self._store.runs.drop_results(self._id, self._attempt + 1, epoch)
        return False

    def _write(self, call: Callable[[], bool], repeat: bool) -> None:
        """Makes the call, and asks the training to stop if it returns true."""
        failures = 0
        while not self._closing.is_set() and self._failure is None:
            try:
                if call():
                    self._stop.set()
                return
            except StaleAttempt as error:
                log.warning("%s", error)
                self._give_up(error)
            except StoreError as error:
                log.warning("%s", error)
                if not repeat:
                    return
                self._fall_behind()
                failures += 1
                if failures >= _MAX_REFUSALS and not isinstance(error, DATABASE_TROUBLE):
                    self._give_up(error)  # it answers and refuses this: waiting would not help
                self._closing.wait(backoff(failures))
            except Exception as error:
                log.exception("recording the results failed")
                self._give_up(StoreError("of the results", f"cannot take them ({error})", "See the run's log."))

    def _give_up(self, error: StaleAttempt | StoreError) -> None:
        self._failure = error
        self._stop.set()
