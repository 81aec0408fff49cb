"""The network in training, with its optimizer, precision and weight average."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from copy import deepcopy

from torch import Tensor, nn

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.batches.batch import Batch
from mitorch_service.training.loop.checkpoints.checkpoint import State
from mitorch_service.training.loop.distributed import Processes
from mitorch_service.training.networks.weights import StateDict, cpu_state_dict
from mitorch_service.training.optimization.averages import build_average
from mitorch_service.training.optimization.gradients import gradient_norm
from mitorch_service.training.optimization.optimizer import build_optimizer, load_moments, set_learning_rate
from mitorch_service.training.optimization.precision import Precision
from mitorch_service.training.state_values import check_moments
from mitorch_service.training.tasks.base import Task, sum_of_losses


class Learner:
    """Computes losses and updates the weights, one batch after the other."""

    def __init__(self, task: Task, module: nn.Module, config: TrainingConfig, processes: Processes) -> None:
        self._task = task
        self._config = config
        self._processes = processes
        self._precision = Precision(config.precision, processes.device)
        self._module = self._precision.place(processes.prepared(module))
        self._optimizer = build_optimizer(config.optimizer, self._module, config.lr_scheduler.base_lr)
        self._parallel = processes.wrapped(self._module)
        self._average = build_average(config, self._module)  # after `wrapped`: the weights are the same everywhere
        self._called = self._precision.compiled(self._parallel)
        self._updated = True  # the present gradients have been applied
        self.norm: Tensor | None = None  # of the last update's gradients, if it is known
        self.parts: dict[str, Tensor] = {}  # of the last batch's loss, if that is the sum of several

    @property
    def precision(self) -> Precision:
        return self._precision

    @property
    def saved(self) -> nn.Module:
        """The module to validate and save: the average, if there is one, else the trained one."""
        return self._average.module() or self._module

    @property
    def parameters(self) -> int:
        """The number of trainable parameters."""
        return sum(one.numel() for one in self._module.parameters() if one.requires_grad)

    def loss(self, batch: Batch) -> Tensor:
        """The batch's mean loss: a scalar tensor on the device, not yet read. Raises InvalidInput for a batch of one
        image if batch normalization needs more."""
        try:
            with self._precision.autocast():
                parts = self._task.losses(self._called, self._precision.to_memory_format(batch), self._config)
                self.parts = {name: part.detach() for name, part in parts.items()} if len(parts) > 1 else {}
                return sum_of_losses(parts)
        except ValueError as error:
            if not str(error).startswith("Expected more than 1 value per channel"):
                raise
            problem = "leaves one image for a step, too few for batch normalization: set 2 or more"
            several = "" if self._processes.alone else " for each process"
            raise InvalidInput("config", [Problem("batch_size", problem + several)]) from error

    def learn(self, loss: Tensor, rate: float, weight: float, *, updates: bool = True) -> None:
        """Adds the loss's gradient times `weight` to those since the last update; then updates the weights, unless more
        gradients are to be accumulated."""
        if self._updated:
            self._optimizer.zero_grad()  # not sooner: the report of a loss that is not finite has the gradients before
        with nullcontext() if updates else self._processes.unsynchronized(self._parallel):
            self._precision.backward(loss * weight if weight != 1 else loss)
        self._updated = updates
        if updates:
            set_learning_rate(self._optimizer, rate)
            self.norm = self._precision.step(self._optimizer, self._config.gradient)
            self._average.step_ended(self._module)

    def start_epoch(self) -> None:
        """Switches to training mode."""
        self._called.train()
        self._module.train()

    def end_epoch(self, epoch: int, batches: Callable[[], Iterable[Batch]]) -> None:
        """Adds the epoch (1 is the first) to the average, which may run over training batches for its statistics."""

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
        """A copy of the weights to save, on the CPU."""
        return cpu_state_dict(self.saved)

    def state_dict(self) -> State:
        """The state on which the next step depends, without random generators and gradients; shares memory with it."""
        return {
            "module": self._module.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "precision": self._precision.state_dict(),
            "average": self._average.state_dict(),
        }

    def load_state_dict(self, state: State, own_settings: bool = False) -> None:
        """Loads a copy of the state. With `own_settings`, the optimizer keeps the settings of its own config (momentum,
        decay) and loads the gathered moments only."""
        self._updated = True
        self.norm = None
        gathered = deepcopy(state["optimizer"])  # an optimizer keeps the tensors that it is given, and changes them
        self._module.load_state_dict(state["module"])
        if own_settings:
            load_moments(self._optimizer, gathered)
        else:
            self._optimizer.load_state_dict(gathered)
        check_moments(self._optimizer)
        self._precision.load_state_dict(state["precision"])
        self._average.load_state_dict(state["average"])
