"""mitorch export: a trained network for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mitorch_service.cli.parameters.completed_values import complete_models
from mitorch_service.cli.parameters.parameter_types import FilePath, Word
from mitorch_service.wording.counted import counted

if TYPE_CHECKING:
    from mitorch_service.training.export.exporting import Form

_IMAGES = "Check on images as mipredict takes them. [default: of the training's data set; else made-up ones]"


@click.command(name="export")
@click.argument("model", metavar="WEIGHTS|ID", shell_complete=complete_models)
@click.option("--to", "form", type=Word(("onnx", "torchscript")), required=True, help="The format.")
@click.option("--dynamic-batch", is_flag=True, help="Any number of images at a time; of classifiers only.")
@click.option("-o", "--output", type=FilePath(dir_okay=False, path_type=Path), help="[default: MODEL.onnx or MODEL.pt]")
@click.option("--images", multiple=True, metavar="IMAGES", type=FilePath(), help=_IMAGES)
@click.option("--config", type=FilePath(dir_okay=False), help="For weights without a config: that of their training.")
@click.option("--classes", type=FilePath(path_type=Path), help="Of weights without class names: a list, or a data set.")
def command(
    model: str,
    form: Form,
    dynamic_batch: bool,
    output: Path | None,
    images: tuple[str, ...],
    config: str | None,
    classes: Path | None,
) -> None:
    """Write the network of a weights file, a completed training or a job's winner as ONNX or TorchScript.

    The file says its task, its classes and the preparation of images (docs/predict.md). It is compared with the network
    on a few images: a difference of more than 0.001 is an error, and leaves no file.
    """
    from mitorch_service.cli.parameters.config_file import read_training_config
    from mitorch_service.client.exporting import default_output, export
    from mitorch_service.client.model import load_file, weights_of
    from mitorch_service.training.loop.output_check import check_writable
    from mitorch_service.training.prediction.class_source import read_class_names

    checked = None if config is None else read_training_config(config)
    names = None if classes is None else read_class_names(classes)
    with weights_of(model, "exported") as weights:
        target = default_output(model, weights.path, form) if output is None else output
        check_writable(target)
        loaded = load_file(weights.path, source=weights.name, config=checked, classes=names, device="cpu")
    exported, source = export(loaded, form, target, images, weights.dataset, dynamic_batch=dynamic_batch)
    click.echo(f"{form}  {target}")
    sample = f"{counted(exported.images, 'image')} ({source})"
    click.echo(f"checked on {sample}: the largest difference is {exported.difference:.1e}")
