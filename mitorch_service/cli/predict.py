"""mipredict: what images show, by a training or by weights."""

from __future__ import annotations

from pathlib import Path

import click

from mitorch_service.cli.parameters.completed_values import complete_models
from mitorch_service.cli.parameters.parameter_types import FilePath, Number, WholeNumber, Word

_FORMATS = ("json", "csv", "coco", "voc", "cvat", "text", "yolo")


@click.command(name="mipredict")
@click.argument("model", metavar="WEIGHTS|ID", shell_complete=complete_models)
@click.argument("images", nargs=-1, required=True, type=FilePath())
@click.option("--threshold", type=Number(0, 1), metavar="T", help="Only scores from T on. [default: the model's own]")
@click.option("--top", type=WholeNumber(1), metavar="K", help="At most K labels or boxes an image.")
@click.option("--batch-size", type=WholeNumber(1), metavar="N", help="Images at a time. [default: the training's]")
@click.option("-o", "--output", type=FilePath(path_type=Path), help="Write here. [default: standard output]")
@click.option("--format", "form", type=Word(_FORMATS), help="Of OUTPUT. [default: csv for OUTPUT.csv, else json]")
@click.option("--draw", metavar="FOLDER", type=FilePath(file_okay=False, path_type=Path), help="Draw pictures here.")
@click.option("--split", type=Word(("train", "val", "test")), default="val", help="Of registered data sets. [val]")
@click.option("--config", type=FilePath(dir_okay=False), help="For weights without a config: that of their training.")
@click.option(
    "--classes", type=FilePath(path_type=Path), help="For weights without class names: a data set, or a list."
)
def command(
    model: str,
    images: tuple[str, ...],
    threshold: float | None,
    top: int | None,
    batch_size: int | None,
    output: Path | None,
    form: str | None,
    draw: Path | None,
    split: str,
    config: str | None,
    classes: Path | None,
) -> int:
    """Predict what IMAGES show, by the weights in a file, or by those of a completed training or of a job's winner.

    IMAGES are files, folders (with all images below them), archive.zip or archive.zip@entry, a data set's file of any
    format, or NAME[:V] of a registered data set. One JSON object a line is printed for each image. Images that cannot
    be read are told and left out; then the exit code is 1.

    A detector's boxes and the labels of a multilabel network count from the threshold on; a multiclass network's best
    class counts, or its best K.
    """
    from mitorch_service.cli.parameters.config_file import read_training_config
    from mitorch_service.cli.views.predictions import PredictionOutput
    from mitorch_service.client.model import load_file, open_registry, weights_of
    from mitorch_service.operations.datasets.named_images import named_images
    from mitorch_service.training.prediction.class_source import read_class_names

    target = PredictionOutput.checked(output, form, draw)
    checked = None if config is None else read_training_config(config)
    names = None if classes is None else read_class_names(classes)
    with named_images(images, split, open_registry) as paths:
        with weights_of(model, "used to predict") as weights:
            loaded = load_file(weights.path, source=weights.name, config=checked, classes=names)
        return target.write(loaded, paths, threshold=threshold, top=top, batch_size=batch_size)
