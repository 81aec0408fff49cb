"""Shows the progress of mitrain: bars on a terminal, one line per epoch otherwise."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import click

from mitorch_service.cli.views.pages.escapes import one_line, raw_stream
from mitorch_service.models.result import EpochResult
from mitorch_service.training.loop.reporter import Reporter, TrainingPlan
from mitorch_service.wording.counted import counted

if TYPE_CHECKING:
    from rich.progress import Progress

_METRICS_SHOWN = 4  # after each epoch: a detector has a dozen, all of which are printed at the end


@contextmanager
def show_training() -> Iterator[Reporter]:
    """Gives the reporter for a terminal or a pipe."""
    if not sys.stdout.isatty():
        yield PlainReporter()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    # not redirected: data-loading processes fork from this one, and would wait for a lock of its drawing thread
    console = Console(file=raw_stream(sys.stdout))
    with Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as progress:
        yield BarReporter(progress)


def show_evaluation(evaluation: dict[str, float]) -> None:
    """Prints a name and a value on each line."""
    for name, value in evaluation.items():
        click.echo(f"{one_line(name):<24} {value:.4f}")


class PlainReporter(Reporter):
    """Prints a line at the start and one after each epoch; notes go to stderr."""

    def __init__(self) -> None:
        self._epochs = 0

    def training_started(self, plan: TrainingPlan) -> None:
        self._epochs = plan.epochs
        self._line(_plan_line(plan))

    def step_ended(self, epoch: int, step: int, steps: int, loss: float) -> None:
        pass  # piped output is read later: epochs are enough

    def epoch_ended(self, result: EpochResult) -> None:
        self._line(_epoch_line(result, self._epochs))

    def note(self, text: str) -> None:
        click.echo(one_line(text), err=True)

    def should_stop(self) -> bool:
        return False

    def _line(self, text: str) -> None:
        click.echo(one_line(text))
        sys.stdout.flush()  # each line at once, also into a pipe


class BarReporter(PlainReporter):
    """Shows a bar for the whole training and one for the epoch, below the lines of the epochs done."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._whole = progress.add_task("training", total=None, loss="")
        self._epoch = progress.add_task("epoch", total=None, loss="")

    def training_started(self, plan: TrainingPlan) -> None:
        super().training_started(plan)
        self._progress.reset(self._whole, total=plan.max_steps or plan.epochs * plan.steps_per_epoch)

    def step_ended(self, epoch: int, step: int, steps: int, loss: float) -> None:
        self._progress.update(self._whole, advance=1)
        title = f"epoch {epoch}/{self._epochs}"
        if step == 1:
            self._progress.reset(self._epoch, total=steps, description=title)
        text = "validating" if step == steps else f"loss {loss:.4f}"
        self._progress.update(self._epoch, completed=step, loss=text)

    def note(self, text: str) -> None:
        self._line(text)

    def _line(self, text: str) -> None:
        self._progress.console.print(one_line(text), markup=False, highlight=False, soft_wrap=True)


def _plan_line(plan: TrainingPlan) -> str:
    return (
        f"{counted(plan.train_images, 'image')} in {counted(plan.steps_per_epoch, 'step')}, "
        f"{plan.val_images} for validation, "
        f"{'' if plan.max_steps is None else counted(plan.max_steps, 'step') + ' in all, '}"
        f"{counted(plan.classes, 'class', 'classes')}, {plan.parameters:,} parameters, on {plan.device}"
    )


def _epoch_line(result: EpochResult, epochs: int) -> str:
    measured = {"train_loss": result.train_loss, "val_loss": result.val_loss}
    measured |= dict(islice(result.metrics.items(), _METRICS_SHOWN))
    parts = [f"{name} {value:.4f}" for name, value in measured.items() if value is not None]
    parts += [] if result.epoch_seconds is None else [f"{result.epoch_seconds:.1f} s"]
    parts += [] if result.samples_per_second is None else [f"{result.samples_per_second:.0f} images/s"]
    step = "" if result.step is None else f" (step {result.step})"
    return "  ".join([f"epoch {result.epoch}/{epochs}{step}", *parts])
