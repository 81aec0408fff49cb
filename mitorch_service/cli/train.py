"""mitrain: train here and now, without the service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mitorch_service.models.config import TrainingConfig


@click.command(name="mitrain")
@click.argument("config", type=click.Path(dir_okay=False, allow_dash=True))
@click.argument("train", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("val", type=click.Path(dir_okay=False, path_type=Path))
@click.option("-w", "--weights", type=click.Path(dir_okay=False, path_type=Path), help="Start from what fits.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the weights here.")
@click.option("-d", "--debug-run", is_flag=True, help="One iteration of training and of validation.")
def command(config: str, train: Path, val: Path, weights: Path | None, output: Path | None, debug_run: bool) -> None:
    """Train the config in the file CONFIG (- for standard input) on the image list TRAIN; validate on VAL.

    Prints loss and metrics after each epoch. OUTPUT is a plain state_dict, which any PyTorch program reads.
    """
    from mitorch_service.cli.training_config import read_training_config
    from mitorch_service.cli.training_progress import show_evaluation, show_training
    from mitorch_service.training.dataset_text import read_image_list
    from mitorch_service.training.file_check import check_files
    from mitorch_service.training.heavy_imports import heavy_imports
    from mitorch_service.training.image_list import same_classes

    checked = read_training_config(config)
    _check_base(config, checked, weights)
    _check_output(output)
    train_list, val_list = read_image_list(train), read_image_list(val)
    same_classes(train_list, val_list)
    check_files(train_list)
    check_files(val_list)

    with heavy_imports():
        from mitorch_service.training import engine
        from mitorch_service.training import weights as weight_files

    with show_training() as reporter:
        outcome = engine.train(
            checked, train_list, val_list, reporter=reporter, base_weights=weights, fast_dev_run=debug_run
        )
    show_evaluation(outcome.evaluation)
    if output is not None:
        weight_files.save_weights(outcome.state_dict, output)
        click.echo(f"weights  {output}")


def _check_base(source: str, config: TrainingConfig, weights: Path | None) -> None:
    from mitorch_service.errors import InvalidInput, Problem

    if config.base is not None and weights is None:
        hint = "names a training of the service, which mitrain does not ask: give its weights with -w"
        raise InvalidInput(source, [Problem("base", hint)])


def _check_output(output: Path | None) -> None:
    """Before the training, not after it: a place that cannot be written to costs all its work."""
    from mitorch_service.training.output_check import check_writable

    if output is not None:
        check_writable(output)
