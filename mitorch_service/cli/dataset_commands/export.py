"""midataset export: write a data set in the format of another tool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from mitorch_service.cli.parameters.completed_values import complete_datasets
from mitorch_service.cli.parameters.parameter_types import FilePath

if TYPE_CHECKING:
    from mitorch_service.models.dataset import Dataset
    from mitorch_service.operations.datasets.dataset_export import Exported, Handling

_FORMATS = ("cvat", "coco", "voc", "yolo", "text", "csv", "yolov5", "tfrecord-csv", "box-lines", "mitorch-text")
_FORMAT = """The format to write. text is that of the system which a data set is from: of Azure ML's the label API's,
boxes in a line for each image (box-lines), of all others MiTorch's (mitorch-text)."""
_THEIR_TEXT = "text of a data set from Azure ML is the label API's form, box-lines; MiTorch's is mitorch-text"
_IMAGES = """Leave the images where they are, link to them, or copy them into OUT; those in archives are copied.
[default: link for voc, yolo and yolov5, else leave]"""


@click.command(name="export")
@click.argument("source", metavar="NAME[:V]|PATH", shell_complete=complete_datasets)
@click.option("--format", "format_", type=click.Choice(_FORMATS), required=True, help=_FORMAT)
@click.option("--split", "splits", multiple=True, help="Only this split: train, val or test; may be repeated.")
@click.option("-o", "--output", required=True, type=FilePath(file_okay=False, path_type=Path), help="A new folder.")
@click.option("--images", type=click.Choice(["leave", "link", "copy"]), help=_IMAGES)
def export(source: str, format_: str, splits: tuple[str, ...], output: Path, images: str | None) -> None:
    """Write a registered data set, or the one at PATH in any format that is read, as FORMAT into the new folder OUTPUT.

    Each split of a registered one gets a folder of its name. Boxes keep a thousandth of a pixel, classes their names;
    data that the format has no place for is refused.
    """
    from mitorch_service.operations.datasets.dataset_export import DatasetExport

    with _found(source, cast("Handling | None", images)) as (dataset, paths):
        meant = meant_format(dataset, format_)
        job = DatasetExport(meant, output, cast("Handling | None", images))
        done = [job.write_one(Path(source))] if dataset is None else job.write(paths, source, splits)
    for one in done:
        click.echo(_line(one))
    if format_ == "text" and meant == "box-lines":
        click.echo(_THEIR_TEXT, err=True)
    if turned := sum(one.turned for one in done):
        click.echo(_turned(turned, meant), err=True)


@contextmanager
def _found(source: str, images: Handling | None) -> Iterator[tuple[Dataset | None, Mapping[str, Path]]]:
    """A registered data set, and the files of its splits; None if there is none of this name, but a file or folder."""
    from mitorch_service.cli.parameters.arguments import dataset_ref
    from mitorch_service.errors import InvalidInput, NotFound, Problem, StoreError
    from mitorch_service.models.blob_storage.sas import is_url
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_dataset_files, open_store

    settings = read_settings()
    try:
        dataset = open_store(settings).datasets.get_dataset(dataset_ref("NAME", source))
    except (NotFound, InvalidInput, StoreError):
        if not Path(source).exists():
            raise
        yield None, {}
        return
    if images != "copy" and any(is_url(split.path) for split in dataset.splits().values()):
        raise InvalidInput(source, [Problem("--images", "must be copy: its files are in blob storage")])
    with open_dataset_files(settings).local_paths(dataset) as paths:
        yield dataset, paths


def meant_format(dataset: Dataset | None, format: str) -> str:
    """Returns the writer's name of a format: two systems call theirs text."""
    if format == "text" and dataset is not None and dataset.imported_from.get("system") == "azureml":
        return "box-lines"
    return "text" if format == "mitorch-text" else format


def _line(one: Exported) -> str:
    from mitorch_service.wording.counted import counted

    shown = counted(one.boxes, "box", "boxes") if not one.labels else counted(one.labels, "class", "classes")
    return f"{one.path}  {counted(one.images, 'image')}, {shown}"


def _turned(count: int, format: str) -> str:
    from mitorch_service.wording.counted import are, counted

    seen = "as it is to be seen" if format in {"cvat", "yolo", "yolov5"} else "as stored, which is how it is read here"
    return f"{counted(count, 'image')} {are(count)} turned by EXIF data: boxes are in pixels of the image {seen}"
