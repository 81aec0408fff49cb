"""Keeps the course of a training as files: TensorBoard's events, and charts."""

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
    """Tells another reporter everything, and writes ``tensorboard/`` at each epoch and ``curves.png`` when closed."""

    def __init__(self, inner: Reporter, folder: Path, earlier: Iterable[EpochResult] = ()) -> None:
        """`earlier` are the epochs before a resumed training goes on. Raises MissingExtra where a package is not
        installed that this or the plots need: at the start, not at the end of a training."""
        for package in ("tensorboard", "matplotlib"):
            if find_spec(package) is None:
                raise MissingExtra(package, "train")
        self._inner, self._folder = inner, folder
        self._results = {result.epoch: result for result in earlier}
        folder.mkdir(parents=True, exist_ok=True)
        self._events: SummaryWriter | None = None  # tensorboard takes half a second to import: at the first epoch's end

    @property
    def curves(self) -> Path:
        """Where the charts are, once this is closed and if there was an epoch."""
        return self._folder / "curves.png"

    def training_started(self, plan: TrainingPlan) -> None:
        self._inner.training_started(plan)

    def step_ended(self, epoch: int, step: int, steps: int, loss: float) -> None:
        self._inner.step_ended(epoch, step, steps, loss)

    def epoch_ended(self, result: EpochResult) -> None:
        self._inner.epoch_ended(result)
        if self._events is None or result.epoch in self._results:  # the first, or one that is done again
            self._open_events(result.epoch)
        self._write(result)

    def note(self, text: str) -> None:
        self._inner.note(text)

    def should_stop(self) -> bool:
        return self._inner.should_stop()

    def close(self) -> None:
        """Ends the writing. The other reporter stays open."""
        if self._events is not None:
            self._events.close()
        if self._results:
            draw_curves([self._results[epoch] for epoch in sorted(self._results)], self.curves)

    def _open_events(self, epoch: int) -> None:
        """With the epochs before this one. What other files there have no longer counts: TensorBoard would draw a line
        through a training of before, or through both versions of an epoch."""
        from torch.utils.tensorboard import SummaryWriter

        if self._events is not None:
            self._events.close()
        self._events = SummaryWriter(self._folder / "tensorboard", purge_step=1)
        earlier = [self._results[one] for one in sorted(self._results) if one < epoch]
        self._results.clear()
        for result in earlier:
            self._write(result)

    def _write(self, result: EpochResult) -> None:
        assert self._events is not None  # opened before
        self._results[result.epoch] = result
        for name, value in _scalars(result).items():
            self._events.add_scalar(name, value, result.epoch, walltime=result.finished_at.timestamp())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _scalars(result: EpochResult) -> dict[str, float]:
    losses = {"loss/train": result.train_loss}
    if result.val_loss is not None:
        losses["loss/val"] = result.val_loss
    speed = {
        "training/learning_rate": result.learning_rate,
        "training/epoch_seconds": result.epoch_seconds,
        "training/samples_per_second": result.samples_per_second,
    }
    return {**losses, **{f"val/{name}": value for name, value in result.metrics.items()}, **speed}
