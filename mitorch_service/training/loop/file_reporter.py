"""Writes the course of a training to files: TensorBoard events and charts."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mitorch_service.errors import MissingExtra
from mitorch_service.models.result import EpochResult
from mitorch_service.training.loop.reporter import Reporter, TrainingPlan
from mitorch_service.training.plots.curves import draw_curves

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class FileReporter(Reporter):
    """Forwards everything to another reporter; writes ``tensorboard/`` after each epoch, ``curves.png`` when closed."""

    def __init__(self, inner: Reporter, folder: Path, earlier: Iterable[EpochResult] = ()) -> None:
        """`earlier` are the epochs before the point from which the training resumes. Raises MissingExtra if a package
        that this or the plots need is not installed: at the start of a training, not at its end."""
        for package in ("tensorboard", "matplotlib"):
            if find_spec(package) is None:
                raise MissingExtra(package, "train")
        self._inner = inner
        self._folder = folder
        self._results = {result.epoch: result for result in earlier}
        folder.mkdir(parents=True, exist_ok=True)
        self._events: SummaryWriter | None = None  # opened after the first epoch: the import takes half a second

    @property
    def curves(self) -> Path:
        """The file of the charts, written when this is closed and there was an epoch."""
        return self._folder / "curves.png"

    def training_started(self, plan: TrainingPlan) -> None:
        self._inner.training_started(plan)

    def step_ended(self, epoch: int, step: int, steps: int, loss: float) -> None:
        self._inner.step_ended(epoch, step, steps, loss)

    def epoch_ended(self, result: EpochResult) -> None:
        self._inner.epoch_ended(result)
        if self._events is None or result.epoch in self._results:  # the first, or a repeated one
            self._open_events(result.epoch)
        self._write(result)

    def note(self, text: str) -> None:
        self._inner.note(text)

    def should_stop(self) -> bool:
        return self._inner.should_stop()

    def close(self) -> None:
        """Closes the files, but not the other reporter."""
        if self._events is not None:
            self._events.close()
        if self._results:
            draw_curves([self._results[epoch] for epoch in sorted(self._results)], self.curves)

    def _open_events(self, epoch: int) -> None:
        """Starts a new events file with the epochs before this one, and hides the older files: TensorBoard would draw
        one line through an earlier training, or through both versions of an epoch."""
        from torch.utils.tensorboard import SummaryWriter

        if self._events is not None:
            self._events.close()
        self._events = SummaryWriter(self._folder / "tensorboard", purge_step=1)
        earlier = [self._results[one] for one in sorted(self._results) if one < epoch]
        self._results.clear()
        for result in earlier:
            self._write(result)

    def _write(self, result: EpochResult) -> None:
        assert self._events is not None  # `_open_events` was called before
        self._results[result.epoch] = result
        for name, value in _scalars(result).items():
            self._events.add_scalar(name, value, result.epoch, walltime=result.finished_at.timestamp())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _scalars(result: EpochResult) -> dict[str, float]:
    losses = {"loss/train": result.train_loss, "loss/val": result.val_loss}
    losses |= {f"loss/train_{name}": value for name, value in result.losses.items()}
    speed = {
        "training/learning_rate": result.learning_rate,
        "training/epoch_seconds": result.epoch_seconds,
        "training/samples_per_second": result.samples_per_second,
    }
    metrics = {f"val/{name}": value for name, value in result.metrics.items()}
    return {name: value for name, value in {**losses, **metrics, **speed}.items() if value is not None}
