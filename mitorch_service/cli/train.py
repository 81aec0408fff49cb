"""mitrain: train here and now, without the service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mitorch_service.cli.parameters.parameter_types import DataPath, FilePath, Number, WholeNumber
from mitorch_service.wording.counted import counted

if TYPE_CHECKING:
    from mitorch_service.models.config.training_config import TrainingConfig
    from mitorch_service.training.data.image_list import ImageList

_LIST = "Train nothing: print the models whose names contain PATTERN, or match it (*, ?)."
_PREVIEW = "Train nothing: draw N augmented training images, with their boxes, into OUTPUT (a PNG)."
_FRACTION = "Without VAL: the part of each class that is held out for validation (0.2). See OUTPUT.split."
_DEFAULT_FRACTION = 0.2
_EVICT = "A drill: kill this process after EPOCHS (2.5: in the third). The same command without it resumes."


def list_models(context: click.Context, _: click.Parameter, pattern: str | None) -> None:
    """Handles --list-models: prints one name per line and exits."""
    if pattern is None or context.resilient_parsing:
        return
    from mitorch_service.training.networks import model_names

    names = model_names.list_models(pattern)
    click.echo("\n".join(names) if names else f"No model is called like {pattern!r}.", err=not names)
    context.exit(0 if names else 1)


@click.command(name="mitrain")
@click.argument("config", type=FilePath(dir_okay=False, allow_dash=True))
@click.argument("train", type=DataPath(path_type=Path))
@click.argument("val", required=False, type=DataPath(path_type=Path))
@click.option("--val-fraction", type=Number(0, 1, min_open=True, max_open=True), metavar="F", help=_FRACTION)
@click.option("-w", "--weights", type=FilePath(dir_okay=False, path_type=Path), help="Start from the weights that fit.")
@click.option("-o", "--output", type=FilePath(dir_okay=False, path_type=Path), help="Write the weights here.")
@click.option("--list-models", metavar="PATTERN", is_eager=True, expose_value=False, callback=list_models, help=_LIST)
@click.option("--preview-augmentation", type=WholeNumber(1, 400), metavar="N", help=_PREVIEW)
@click.option("--evict-at", type=Number(0), metavar="EPOCHS", help=_EVICT)
@click.option("-d", "--debug-run", is_flag=True, help="One iteration of training and of validation.")
def command(
    config: str,
    train: Path,
    val: Path | None,
    val_fraction: float | None,
    weights: Path | None,
    output: Path | None,
    preview_augmentation: int | None,
    evict_at: float | None,
    debug_run: bool,
) -> None:
    """Train the config in the file CONFIG (JSON or YAML; - for standard input) on the data set TRAIN; validate on VAL.

    Both are text files (one line per image), COCO's .json, .csv files of boxes or labels, CVAT's .xml or .zip, YOLO's
    data.yaml, or folders: of YOLO or Pascal VOC, or with a folder of images for each class. Without VAL, the one that
    data.yaml names is taken, else a fifth of the images of each class is held out for it.

    Prints loss and metrics after each epoch. OUTPUT has a state_dict, which any PyTorch program reads, and its classes;
    pictures are in OUTPUT.plots. A training that was killed resumes from OUTPUT.checkpoints when it is started again.
    Without OUTPUT nothing is kept.
    """
    from mitorch_service.cli.parameters.config_file import read_training_config
    from mitorch_service.cli.training.train_local import train_here
    from mitorch_service.training.data.formats.yolo.yolo import has_split
    from mitorch_service.training.data.holdout import write_split

    checked = read_training_config(config)
    _check_base(config, checked, weights)
    _check_input(config, checked)
    _check_output(output)
    if val is None and val_fraction is None and has_split(train, "val"):
        val = train
    lists = _read_data(train, val, val_fraction, checked.seed)
    if preview_augmentation is not None:
        _write_preview(checked, lists["train"], preview_augmentation, output)
        return

    if output is None and not debug_run:
        click.echo("Nothing of this training is kept: give -o OUTPUT for weights, charts and checkpoints.", err=True)
    if output is not None and val is None:
        write_split(output.with_name(f"{output.name}.split"), **lists)
    train_here(checked, lists, weights=weights, output=output, evict_at=evict_at, debug_run=debug_run)


def _read_data(train: Path, val: Path | None, fraction: float | None, seed: int) -> dict[str, ImageList]:
    from mitorch_service.errors import InvalidInput, Problem
    from mitorch_service.training.data.splits import read_held_out, read_splits

    if val is not None:
        if fraction is not None:
            raise InvalidInput("mitrain", [Problem("--val-fraction", "is for a training without VAL: leave out one")])
        return read_splits({"train": train, "val": val})
    fraction = _DEFAULT_FRACTION if fraction is None else fraction
    lists = read_held_out(train, fraction, seed)
    images = f"{counted(len(lists['train']), 'image')} to train on, {len(lists['val'])} held out for validation"
    click.echo(f"{images} (the seed {seed} chooses them)", err=True)
    return lists


def _write_preview(config: TrainingConfig, train: ImageList, count: int, output: Path | None) -> None:
    from mitorch_service.errors import InvalidInput, Problem
    from mitorch_service.training.loop.preview import write_preview

    if output is None:
        raise InvalidInput("mitrain", [Problem("--preview-augmentation", "needs -o OUT.png to draw into")])
    write_preview(config, train, count, output)
    click.echo(f"preview  {output}")


def _check_base(source: str, config: TrainingConfig, weights: Path | None) -> None:
    from mitorch_service.errors import InvalidInput, Problem

    if config.base is not None and weights is None:
        hint = "names a training of the service, which mitrain does not read: give its weights with -w"
        raise InvalidInput(source, [Problem("base", hint)])


def _check_input(source: str, config: TrainingConfig) -> None:
    """Refuses standard input for several GPUs, whose processes all read the config."""
    from mitorch_service.errors import InvalidInput, Problem

    if source == "-" and config.resources is not None and (config.resources.gpus or 1) > 1:
        hint = "of more than one starts a process for each, and standard input is read once: give a file as CONFIG"
        raise InvalidInput(source, [Problem("resources.gpus", hint)])


def _check_output(output: Path | None) -> None:
    """Checks before the training that its result can be written."""
    from mitorch_service.training.loop.output_check import check_writable

    if output is not None:
        check_writable(output)
