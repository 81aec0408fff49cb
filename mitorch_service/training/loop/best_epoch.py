"""The choice of the best epoch, and early stopping on a plateau."""

from __future__ import annotations

import math

from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.loop.checkpoints.checkpoint import State
from mitorch_service.training.state_values import count, number


class Selection:
    """Compares the epochs' evaluations by the config's objective: lower is better for losses and false counts."""

    def __init__(self, config: TrainingConfig) -> None:
        self._early_stopping = config.early_stopping
        self.objective = config.objective or "val_loss"
        self._lower = "loss" in self.objective or "false" in self.objective
        self.best: float | None = None
        self.epoch = 0  # the best one, from 1
        self._plateau = 0  # epochs without a better objective

    def epoch_ended(self, epoch: int, evaluation: dict[str, float]) -> bool:
        """Whether this epoch is the best so far."""
        value = evaluation.get(self.objective, math.nan)
        improved = math.isfinite(value) and (self.best is None or self._gain(value, self.best) > 0)
        counts = improved and (self.best is None or self._gain(value, self.best) > self._least_gain())
        self._plateau = 0 if counts else self._plateau + 1
        if improved:
            self.best = value
            self.epoch = epoch
        return improved

    def is_over(self) -> bool:
        """Whether early stopping ends the training here."""
        return self._early_stopping is not None and self._plateau >= self._early_stopping.max_plateau_count

    def __str__(self) -> str:
        if self.best is None:
            return f"{self.objective} was not a number in any epoch: the validation set has nothing to measure it on"
        return f"{self.objective} was best in epoch {self.epoch}"

    def remark(self, epochs: int, evaluation: dict[str, float], *, kept: bool) -> str:
        """Returns a sentence if the last of `epochs` is not the best one, else an empty one. `kept`: the weights of the
        best epoch are those that are saved; `evaluation`: of the last epoch."""
        if self.best is None or evaluation.get(self.objective) == self.best or (kept and self.is_over()):
            return ""  # of one that stopped early with its best weights, it was told then
        values = f"({self.objective} {self.best:.4g}, in the last {evaluation.get(self.objective, math.nan):.4g})"
        if kept:
            return f"The weights are those of epoch {self.epoch}, the best of {epochs} {values}."
        return (
            f"Epoch {self.epoch} of {epochs} was the best {values}. The weights are those of the last: "
            'set "keep_weights" to "best" to keep the best.'
        )

    def state_dict(self) -> State:
        return {"best": self.best, "epoch": self.epoch, "plateau": self._plateau}

    def load_state_dict(self, state: State) -> None:
        self.best = None if state["best"] is None else number(state, "best")
        self.epoch = count(state, "epoch")
        self._plateau = count(state, "plateau")

    def _gain(self, value: float, best: float) -> float:
        return best - value if self._lower else value - best

    def _least_gain(self) -> float:
        return self._early_stopping.min_delta if self._early_stopping is not None else 0.0
