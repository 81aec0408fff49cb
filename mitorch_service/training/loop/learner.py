"""What learns: the network with its optimizer, precision and average, one batch after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from copy import deepcopy
from typing import Any

from torch import Tensor, nn

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config import TrainingConfig
from mitorch_service.training.data.batch import Batch
from mitorch_service.training.loop.distributed import Processes
from mitorch_service.training.networks.weights import StateDict, cpu_state_dict
from mitorch_service.training.optimization.averages import build_average
from mitorch_service.training.optimization.gradients import gradient_norm
from mitorch_service.training.optimization.optimizer import build_optimizer, load_moments, set_learning_rate
from mitorch_service.training.optimization.precision import Precision
from mitorch_service.training.tasks.base import Task


class Learner:
    """One training's weights and all that moves them."""

    def __init__(self, task: Task, module: nn.Module, config: TrainingConfig, processes: Processes) -> None:
        self._task, self._config, self._processes = task, config, processes
        self._precision = Precision(config.precision, processes.device)
        self._module = self._precision.place(processes.prepared(module))
        self._optimizer = build_optimizer(config.optimizer, self._module, config.lr_scheduler.base_lr)
        self._parallel = processes.wrapped(self._module)
        self._average = build_average(config, self._module)  # of weights that are the same in all processes by now
        self._called = self._precision.compiled(self._parallel)
        self._moved = True  # the gradients that there are have done their work
        self.norm: Tensor | None = None  # of the last move's gradients, where it is known

    @property
    def precision(self) -> Precision:
        return self._precision

    @property
    def saved(self) -> nn.Module:
        """What is validated and saved: the average, where there is one, else what is trained."""
        return self._average.module() or self._module

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(one.numel() for one in self._module.parameters() if one.requires_grad)

    def loss(self, batch: Batch) -> Tensor:
        """The batch's mean loss, not yet known to the processor. Raises InvalidInput for a batch of one image where
        batch normalisation needs more."""
        try:
            with self._precision.autocast():
                return self._task.loss(self._called, self._precision.to_memory_format(batch), self._config)
        except ValueError as error:
            if not str(error).startswith("Expected more than 1 value per channel"):
                raise
            problem = "leaves one image for a step, which has no variance for batch normalisation: take 2 or more"
            several = "" if self._processes.alone else " for each process"
            raise InvalidInput("config", [Problem("batch_size", problem + several)]) from error

    def learn(self, loss: Tensor, rate: float, weight: float, *, moves: bool = True) -> None:
        """Adds the loss's gradient times `weight` to those since the last move; then moves the weights, or not yet."""
        if self._moved:
            self._optimizer.zero_grad()  # not sooner: a loss that is not finite is told with the gradients before it
        with nullcontext() if moves else self._processes.unsynchronised(self._parallel):
            self._precision.backward(loss * weight if weight != 1 else loss)
        self._moved = moves
        if moves:
            set_learning_rate(self._optimizer, rate)
            self.norm = self._precision.step(self._optimizer, self._config.gradient)
            self._average.step_ended(self._module)

    def start_epoch(self) -> None:
        """Into training mode."""
        self._called.train()
        self._module.train()

    def end_epoch(self, epoch: int, batches: Callable[[], Iterable[Batch]]) -> None:
        """The average takes in the epoch (1 is the first); it may run over training batches."""

        def refresh(module: nn.Module) -> None:
            for batch in batches():
                with self._precision.autocast():
                    self._task.loss(module, self._precision.to_memory_format(batch), self._config)

        self._average.epoch_ended(self._module, epoch, refresh)
        self._processes.same_buffers(self.saved)

    def rate(self, scheduled: float, epoch: int) -> float:
        """The learning rate in an epoch (0 is the first)."""
        return self._average.learning_rate(scheduled, epoch)

    def gradient_norm(self) -> float:
        return gradient_norm(self._optimizer)

    def weights(self) -> StateDict:
        """A copy of what is saved, in main memory."""
        return cpu_state_dict(self.saved)

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, the random generators and gradients aside; shares memory with it."""
        return {
            "module": self._module.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "precision": self._precision.state_dict(),
            "average": self._average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any], own_settings: bool = False) -> None:
        """`own_settings`: the optimizer keeps what its config says (momentum, decay), and takes over what it has
        gathered. The state stays as it is in what follows."""
        self._moved, self.norm = True, None
        gathered = deepcopy(state["optimizer"])  # an optimizer goes on with the tensors that it is given
        self._module.load_state_dict(state["module"])
        if own_settings:
            load_moments(self._optimizer, gathered)
        else:
            self._optimizer.load_state_dict(gathered)
        self._precision.load_state_dict(state["precision"])
        self._average.load_state_dict(state["average"])
