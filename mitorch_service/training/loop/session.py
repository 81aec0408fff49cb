"""The state of a training between two steps, as a checkpoint stores it, and the decisions that follow from it."""

from __future__ import annotations

import json
import math
import time
from datetime import datetime

from mitorch_service.errors import ArtifactError, TrainingDiverged
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.result import EpochResult
from mitorch_service.training.loop.best_epoch import Selection
from mitorch_service.training.loop.checkpoints.checkpoint import INHERITED, Checkpoints, State, in_main_memory
from mitorch_service.training.loop.checkpoints.session_state import results_in
from mitorch_service.training.loop.distributed import Processes
from mitorch_service.training.loop.epoch_progress import BadLoss, EpochProgress
from mitorch_service.training.loop.learner import Learner
from mitorch_service.training.loop.length import Length
from mitorch_service.training.loop.reporter import Reporter
from mitorch_service.training.loop.segment import Segment
from mitorch_service.training.networks.weights import StateDict
from mitorch_service.training.optimization.lr_schedule import Plateau, learning_rate
from mitorch_service.training.seeding import random_state, restore_random_state, seed_process
from mitorch_service.training.state_values import count

_FORMAT = 2
_MAX_RECOVERIES = 2  # of a training that diverged
_LOWERED = 0.1  # the factor of its learning rate for each recovery
_AGREE_EVERY = 10  # steps between two exchanges of several processes


class Session:
    """The state of one training: where it is, its results, and its recoveries from divergence."""

    def __init__(
        self,
        config: TrainingConfig,
        learner: Learner,
        length: Length,
        processes: Processes,
        reporter: Reporter,
        checkpoints: Checkpoints | None,
        fingerprint: str,
        segment: Segment = Segment(),  # noqa: B008 - it is frozen
    ) -> None:
        self._config = config
        self.learner = learner
        self.length = length
        self._processes = processes
        self._reporter = reporter
        self._checkpoints = checkpoints
        self._fingerprint = fingerprint
        self._segment = segment
        self.epoch = 0  # the next one, from 0
        self.step = 0  # the next one, from 0
        self.evaluation: dict[str, float] = {}  # of the last whole epoch
        self.history: list[EpochResult] = []
        self._lines: list[str] = []  # the history as JSON
        self.selection = Selection(config)
        self.best: StateDict | None = None  # the weights of the best epoch, if they are to be kept
        self.best_evaluation: dict[str, float] = {}
        self.progress = self._new_progress()
        self._plateau = Plateau(config.lr_scheduler)
        self._lowered = 0
        self._note: str | None = None  # for the next epoch's result
        self._good: State | None = None  # to recover from a divergence
        self._saved_at = time.monotonic()
        self._has_answered = False  # a request for a checkpoint
        seed_process(config.seed, processes.rank)

    def resume(self) -> bool:
        """Loads the newest checkpoint of this training, or the one that it inherits; returns whether there is one."""
        found = self._checkpoints.latest() if self._checkpoints is not None else None
        found = self._processes.of_first(found)
        if found is not None and not self._fits(found):
            self._reporter.note(
                "The checkpoint is of another config or data set: the training starts from its first epoch."
            )
            found = None
        if found is not None and not self._can_load(found):
            found = None
        if found is not None:
            whose = f" of {self._segment.origin}" if INHERITED in found else ""
            self._reporter.note(f"Resuming from a checkpoint{whose}: epoch {self.epoch + 1}, step {self.step + 1}.")
        if self._config.on_divergence == "lower_lr":
            self._good = found or in_main_memory(self._state())
        return found is not None

    def _can_load(self, found: State) -> bool:
        """Loads the state, or leaves everything as it was and says why. Raises ArtifactError for an inherited one: the
        first epoch is no substitute for it."""
        before = in_main_memory(self._state())
        try:
            self._load(found)
        except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            reason = f"it cannot be loaded: {(str(error) or type(error).__name__).splitlines()[0]}"
            if INHERITED in found:
                raise ArtifactError("checkpoint", str(self._segment.origin), reason) from error
            self._reporter.note(f"The checkpoint is damaged ({reason}). The training starts from its first epoch.")
            self._load(before)
            return False
        return True

    def is_over(self) -> bool:
        return self.epoch >= self.length.epochs or self.selection.is_over()

    def is_paused(self) -> bool:
        """Whether the training pauses here, at the end of an epoch."""
        return self._segment.pause_at is not None and self.epoch >= self._segment.pause_at and self.step == 0

    @property
    def steps_done(self) -> int:
        """The number of steps of the whole training before the next one."""
        return self.epoch * self.length.steps + self.step

    def rate(self) -> float:
        """The learning rate of the next step."""
        length = self.length
        scheduled = learning_rate(
            self._config.lr_scheduler, self.steps_done, length.steps, length.epochs, total=length.total
        )
        return self.learner.rate(scheduled, self.epoch) * self._plateau.factor * _LOWERED**self._lowered

    def weight(self, samples: int) -> float:
        """The weight of this process's mean loss in the next update, which takes the mean over all processes.

        The gradient is then that of the mean over all samples of each batch, however they are spread over processes,
        and over the batches that an update accumulates.
        """
        share = (
            samples * self._processes.world_size / self.length.batch(self.steps_done)
            if not self._processes.alone
            else 1
        )
        first = self.step - self.step % self._config.gradient.accumulate
        return share / min(self._config.gradient.accumulate, self._steps - first)

    def updates(self) -> bool:
        """Whether the next step updates the weights, rather than accumulate gradients."""
        done = self.step + 1
        return done % self._config.gradient.accumulate == 0 or done == self._steps

    def should_stop(self) -> bool:
        """Whether the reporter asks to stop; called by all processes before each step. Raises TrainingDiverged."""
        if self._processes.alone:
            return self._reporter.should_stop()
        if self.step % _AGREE_EVERY:
            return False
        self.check_losses()
        return bool(self._processes.of_first(self._reporter.should_stop()))

    def check_losses(self) -> None:
        """Raises TrainingDiverged if a loss of any process was not finite."""
        self.progress.read()
        bad = next((one for one in self._processes.of_all(self.progress.bad) if one is not None), None)
        if bad is not None:
            raise self._diverged(bad)

    def raise_bad_loss(self) -> None:
        """Raises TrainingDiverged at once if this process is alone; several raise it when they next agree."""
        if self._processes.alone:
            self.check_losses()

    def training_done(self) -> None:
        """Adds up the sums of all processes after the last step of the epoch. Raises TrainingDiverged."""
        self.check_losses()
        self.progress.training_done()
        if not self._processes.alone:
            sums = self._processes.of_all(self.progress.sums())
            self.progress.set_sums(sums)

    def step_ended(self) -> None:
        """Moves on to the next step, and saves a checkpoint if the last one is old."""
        self.step += 1
        if self.step < self._steps and self.step % self._config.gradient.accumulate == 0 and self._is_time():
            self.check_losses()
            self._save()

    def epoch_ended(self, evaluation: dict[str, float]) -> None:
        """Reports the epoch after its validation, moves on to the next and saves a checkpoint. Raises
        TrainingDiverged."""
        result = self.progress.result(evaluation=evaluation, note=self._note, step=self._reported_step())
        self._note = None
        self.history.append(result)
        self._lines.append(json.dumps(result.model_dump(), default=datetime.isoformat))
        self._reporter.epoch_ended(result)
        if not math.isfinite(evaluation["val_loss"]):
            raise self._diverged(BadLoss(self._steps - 1, evaluation["val_loss"], None))
        self.evaluation = evaluation
        improved = self.selection.epoch_ended(self.epoch + 1, evaluation)
        self._plateau.epoch_ended(improved)
        if improved and self._config.keep_weights == "best":
            self.best, self.best_evaluation = self.learner.weights(), evaluation
        self.epoch += 1
        self.step = 0
        self.progress = EpochProgress(self.epoch + 1, self._processes.device, self.progress.last_finite)
        due = self.epoch % self._config.checkpoint.epochs == 0 or self._is_asked()
        if due or self.is_over() or self.is_paused():
            self._save(good=True)
        if self.selection.is_over():
            self._reporter.note(f"Stopped early after epoch {self.epoch}: {self.selection}.")

    def recover(self, error: TrainingDiverged) -> None:
        """Goes back to the last good state with a tenth of the learning rate; without one, or after two recoveries,
        reports the epoch and raises the error."""
        if self._good is None or self._lowered >= _MAX_RECOVERIES:
            if not self.history or self.history[-1].epoch != error.epoch:
                self._reporter.epoch_ended(self.progress.result(train_loss=error.loss, step=self._reported_step()))
            raise error
        lowered = self._lowered + 1
        self._load(self._good)
        self._lowered = lowered
        factor = f"{_LOWERED**lowered:g}"
        self._note = f"{error} Resuming from epoch {self.epoch + 1} with {factor} of the learning rate."
        self._reporter.note(self._note)
        self._save(good=True)

    @property
    def _steps(self) -> int:
        """The number of steps of this epoch."""
        return self.length.steps_of(self.epoch)

    def _reported_step(self) -> int | None:
        return self.steps_done if self.length.by_steps else None

    def _diverged(self, bad: BadLoss) -> TrainingDiverged:
        norm = bad.gradient_norm if bad.gradient_norm is not None else self.learner.gradient_norm()
        last = self.progress.last_finite
        return TrainingDiverged(self.epoch + 1, bad.step + 1, bad.loss, self.progress.rate, norm, last)

    def _is_time(self) -> bool:
        late = time.monotonic() - self._saved_at >= 60 * self._config.checkpoint.minutes or self._is_asked()
        if self._processes.alone:
            return late
        return self.step % _AGREE_EVERY == 0 and bool(self._processes.of_first(late))

    def _is_asked(self) -> bool:
        """Whether another thread waits for a checkpoint; not again while one is on its way."""
        if self._checkpoints is None or self._has_answered or not self._checkpoints.request.is_open():
            return False
        self._has_answered = True
        return True

    def _save(self, *, good: bool = False) -> None:
        self._saved_at = time.monotonic()
        keep = good and self._config.on_divergence == "lower_lr"
        if self._checkpoints is None and not keep and self._processes.alone:
            return
        state = in_main_memory(self._state())
        if keep:
            self._good = state
        if self._checkpoints is not None:
            self._checkpoints.save(state, shared=self.epoch if self._segment.shared and self.is_paused() else None)

    def _fits(self, state: State) -> bool:
        """Whether this training may resume from the state. An inherited one is of another config by intention."""
        same = state["fingerprint"] == self._fingerprint or INHERITED in state
        return bool(state["format"] == _FORMAT and same)

    def _state(self) -> State:
        return {
            "format": _FORMAT,
            "fingerprint": self._fingerprint,
            "origin": self._segment.origin,
            "epoch": self.epoch,
            "step": self.step,
            "learner": self.learner.state_dict(),
            "random": self._processes.of_all(random_state()),
            "progress": self._processes.of_all(self.progress.state_dict()),
            "plateau": self._plateau.state_dict(),
            "selection": self.selection.state_dict(),
            "lowered": self._lowered,
            "note": self._note,
            "history": list(self._lines),
            "evaluation": self.evaluation,
            "best": self.best,
            "best_evaluation": self.best_evaluation,
        }

    def _load(self, state: State) -> None:
        self.epoch = state["epoch"]
        self.step = state["step"]
        if self.step > self.length.steps or self.steps_done > self.length.total:
            raise ValueError(f"step is {self.step}, of {self.length.steps}")
        self.learner.load_state_dict(state["learner"], own_settings=INHERITED in state)
        self._plateau.load_state_dict(state["plateau"])
        self.selection.load_state_dict(state["selection"])
        self._lowered = count(state, "lowered")
        self._note = state["note"]
        self._lines = list(state["history"])
        self.history = results_in(state)
        self.evaluation = state["evaluation"]
        self.best = state["best"]
        self.best_evaluation = state["best_evaluation"]
        self.progress = self._new_progress()
        if len(state["random"]) == self._processes.world_size:
            restore_random_state(state["random"][self._processes.rank])
            self.progress.load_state_dict(state["progress"][self._processes.rank])
        else:  # another number of processes: other random numbers, and the first process carries the sums
            seed_process(self._config.seed, self._processes.rank, self.epoch, self.step)
            if self._processes.first:
                self.progress.load_sums(state["progress"])

    def _new_progress(self) -> EpochProgress:
        return EpochProgress(self.epoch + 1, self._processes.device)
