"""Trains without the service (mitrain): checkpoints, pictures and weights are files beside each other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.config.training_length import epochs_of
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.loop.reporter import Reporter
from mitorch_service.training.torch_imports import heavy_imports

if TYPE_CHECKING:
    from mitorch_service.training.loop.checkpoints.checkpoint import Checkpoints
    from mitorch_service.training.loop.file_reporter import FileReporter


def train_here(
    config: TrainingConfig,
    lists: Mapping[str, ImageList],
    *,
    weights: Path | None,
    output: Path | None,
    evict_at: float | None,
    debug_run: bool,
) -> None:
    """Trains and shows the progress. With `output` it resumes from ``OUTPUT.checkpoints``, which a killed training has
    left, and writes the weights to OUTPUT and pictures to ``OUTPUT.plots``."""
    from mitorch_service.cli.views.training_progress import show_evaluation, show_training

    with heavy_imports():
        from mitorch_service.training.loop import engine
        from mitorch_service.training.loop.local_processes import local_processes, wanted_processes
        from mitorch_service.training.networks import weights as weight_files

    kept = None if debug_run or not _is_first() else output
    with ExitStack() as stack:
        checkpoints = stack.enter_context(_checkpoints(kept)) if kept else None
        reporter = stack.enter_context(show_training())
        if _is_first():
            reporter = _evicting(reporter, config, evict_at, checkpoints)
        reporter = stack.enter_context(_filing(reporter, kept, checkpoints)) if kept else reporter
        stack.enter_context(local_processes(wanted_processes(config)))
        outcome = engine.train(
            config,
            lists["train"],
            lists["val"],
            reporter=reporter,
            base_weights=weights,
            fast_dev_run=debug_run,
            checkpoints=checkpoints,
            plots=_plots(kept) if kept else None,
        )
    if not _is_first():
        return
    show_evaluation(outcome.evaluation)
    if kept is not None:
        click.echo(f"plots    {_plots(kept)}")
    if output is not None:
        weight_files.save_weights(outcome.state_dict, output, outcome.metadata)
        if not (debug_run or outcome.stopped):
            show_evaluation(_clean(config, lists, output))
        click.echo(f"weights  {output}")
    if checkpoints is not None and kept is not None:
        _delete_checkpoints(checkpoints, kept)


def _clean(config: TrainingConfig, lists: Mapping[str, ImageList], output: Path) -> dict[str, float]:
    """The figures without the images of val that are in train too; empty if there are none."""
    from mitorch_service.cli.views.training_progress import PlainReporter
    from mitorch_service.training.loop.clean_evaluation import clean_figures, evaluate_clean

    return clean_figures(evaluate_clean(config, lists["val"], lists["train"], output, reporter=PlainReporter()))


def _is_first() -> bool:
    """Whether this is the reporting one of torchrun's processes."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def _checkpoints(output: Path) -> Iterator[Checkpoints]:
    from mitorch_service.settings import read_settings
    from mitorch_service.training.loop.checkpoints.checkpoint import Checkpoints
    from mitorch_service.wiring import open_artifacts

    folder = _checkpoint_folder(output).absolute()
    artifacts = open_artifacts(read_settings({"MITORCH_STORAGE_URL": str(folder.parent)}))
    with Checkpoints(artifacts, f"{folder.name}/") as checkpoints:
        yield checkpoints


def _evicting(
    reporter: Reporter, config: TrainingConfig, evict_at: float | None, checkpoints: Checkpoints | None
) -> Reporter:
    from mitorch_service.training.loop.eviction_drill import EvictingReporter

    if evict_at is None:
        return reporter
    if checkpoints is None:
        problem = "needs -o OUTPUT, and no -d: the checkpoints are beside it"
        raise InvalidInput("mitrain", [Problem("--evict-at", problem)])
    epochs = epochs_of(config.model_dump())
    if epochs and evict_at >= epochs:
        problem = f"is where the training has ended (it has {epochs} epochs): give a smaller number"
        raise InvalidInput("mitrain", [Problem("--evict-at", problem)])
    return EvictingReporter(reporter, evict_at, checkpoints.wait)


def _filing(reporter: Reporter, output: Path, checkpoints: Checkpoints | None) -> FileReporter:
    from mitorch_service.training.loop.checkpoints.session_state import results_in
    from mitorch_service.training.loop.file_reporter import FileReporter

    return FileReporter(reporter, _plots(output), results_in(checkpoints.latest() if checkpoints else None))


def _delete_checkpoints(checkpoints: Checkpoints, output: Path) -> None:
    checkpoints.delete()
    with suppress(OSError):  # not empty: somebody has put a file there
        _checkpoint_folder(output).rmdir()


def _checkpoint_folder(output: Path) -> Path:
    return output.with_name(f"{output.name}.checkpoints")


def _plots(output: Path) -> Path:
    return output.with_name(f"{output.name}.plots")
