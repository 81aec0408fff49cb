"""Streams a training's epochs into the store from a thread of its own: a slow or absent database delays nothing. Only
a trial that its search may end waits for the answer, and not for long."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from datetime import datetime

from mitorch_service.errors import StaleAttempt, StoreError, StoreUnavailable
from mitorch_service.models.result import EpochResult
from mitorch_service.runs.search_decision import SearchDecision
from mitorch_service.runs.trial_pausing import TrialPausing
from mitorch_service.runs.trial_stopping import TrialStopping
from mitorch_service.stores.base import Store
from mitorch_service.stores.patience import backoff
from mitorch_service.training.loop.reporter import Reporter, TrainingPlan

_HEARTBEAT_SECONDS = 30.0
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
    ) -> None:
        """`stop` is set from outside (SIGTERM) or here: when a person cancels the training, its search ends it, or the
        attempt is superseded. `also` receives each epoch's result and must return at once. `drops_earlier`: results of
        earlier attempts behind the first report are dropped."""
        self._store = store
        self._id = training_id
        self._attempt = attempt
        self._max_epochs = max_epochs
        self._clock = clock
        self._stop = stop
        self._also = also
        self._stopping = stopping
        self._drops_earlier = drops_earlier
        if self.decision is not None:  # an earlier attempt had come as far, and died
            stop.set()
        self._waiting: queue.Queue[EpochResult | threading.Event] = queue.Queue()
        self._closing = threading.Event()
        self._failure: StaleAttempt | StoreError | None = None  # why nothing is written any more
        self._thread = threading.Thread(target=self._work, name="results", daemon=True)
        self._thread.start()

    def training_started(self, plan: TrainingPlan) -> None:
        log.info(
            "training on %s: %d images, %d for validation, %d classes, %s parameters, %d steps an epoch",
            plan.device,
            plan.train_images,
            plan.val_images,
            plan.classes,
            f"{plan.parameters:,}",
            plan.steps_per_epoch,
        )

    def step_ended(self, epoch: int, step: int, steps: int, loss: float) -> None:
        pass  # a record for each step would be too much for the database

    def epoch_ended(self, result: EpochResult) -> None:
        train, val = ("-" if loss is None else f"{loss:.4f}" for loss in (result.train_loss, result.val_loss))
        metrics = "".join(f"  {name} {value:.4f}" for name, value in result.metrics.items())
        log.info("epoch %d  train_loss %s  val_loss %s%s", result.epoch, train, val, metrics)
        self._waiting.put(result)
        if self._also is not None:
            self._also(result)
        if self._stopping is not None:
            answered = threading.Event()
            self._waiting.put(answered)
            answered.wait(_ANSWER_SECONDS)

    @property
    def decision(self) -> SearchDecision | None:
        """The decision by which the trial ends here, if its search has made one."""
        return None if self._stopping is None else self._stopping.decision

    def note(self, text: str) -> None:
        log.info("%s", text)

    def should_stop(self) -> bool:
        return self._stop.is_set()

    def flush(self, patience_seconds: float) -> None:
        """Waits until everything reported is in the store. Raises StaleAttempt if this attempt is no longer current,
        StoreUnavailable once the patience is over, and StoreError if the store refused a record for good."""
        written = threading.Event()
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

    def close(self) -> None:
        """Ends the thread; records that are not written yet are dropped."""
        self._closing.set()
        self._waiting.put(threading.Event())
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
            elif self._failure is None:
                self._write_epoch(item)

    def _write_epoch(self, result: EpochResult) -> None:
        self._write(
            lambda: self._store.runs.record_epoch(self._id, self._attempt, self._max_epochs, result), repeat=True
        )
        if self._drops_earlier:
            self._drops_earlier = False
            self._write(lambda: self._drop_behind(result.epoch), repeat=True)
        stopping = self._stopping
        if stopping is not None:
            self._write(lambda: stopping.ends_after(result), repeat=True)

    def _drop_behind(self, epoch: int) -> bool:
        self._store.runs.drop_results(self._id, epoch)
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
                failures += 1
                if failures >= _MAX_REFUSALS and not isinstance(error, StoreUnavailable):
                    self._give_up(error)  # it answers and refuses this: waiting would not help
                self._closing.wait(backoff(failures))
            except Exception as error:
                log.exception("recording the results failed")
                self._give_up(StoreError("of the results", f"cannot take them ({error})", "See the run's log."))

    def _give_up(self, error: StaleAttempt | StoreError) -> None:
        self._failure = error
        self._stop.set()
