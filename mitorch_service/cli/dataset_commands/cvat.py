"""midataset cvat: data sets from and to a CVAT server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mitorch_service.cli.parameters.completed_values import complete_models
from mitorch_service.cli.parameters.parameter_types import FilePath, Number, WholeNumber
from mitorch_service.cli.suggesting_group import SuggestingGroup

if TYPE_CHECKING:
    from mitorch_service.annotations.annotated_image import AnnotatedImage
    from mitorch_service.interop.cvat.push import Pushed
    from mitorch_service.interop.cvat.server import CvatServer
    from mitorch_service.settings import Settings

_STATUSES = ("annotation", "validation", "completed")


@click.group(cls=SuggestingGroup)
def cvat() -> None:
    """Get data sets from a CVAT server, and add boxes to its tasks. MITORCH_CVAT_URL names the server,
    MITORCH_CVAT_AUTH is USER:PASSWORD or an access token."""


@cvat.command()
@click.option("--task", "tasks", multiple=True, metavar="NAME|ID", help="A task; may be repeated. [default: all]")
@click.option("--status", type=click.Choice(_STATUSES), help="Only tasks with this status.")
@click.option("--as", "name", required=True, metavar="NAME", help="The name of the data set.")
@click.option(
    "--val-every", type=WholeNumber(2, 10**9), default=10, show_default=True, help="Of so many images one validates."
)
def pull(tasks: tuple[str, ...], status: str | None, name: str, val_every: int) -> None:
    """Register tasks with their images as a data set.

    Only what has changed since it was pulled last is downloaded; the same annotations are registered once, changed ones
    become the next version. `midataset show` tells the tasks, and the states of their jobs then.
    """
    from mitorch_service.interop.cvat.pull import pull as pull_tasks
    from mitorch_service.models.dataset import DatasetSplit
    from mitorch_service.operations.datasets.dataset_registration import checked_name
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_dataset_registry

    settings = read_settings()
    folder = settings.home / "datasets" / checked_name("--as", name)
    with open_server(settings) as server:
        found = pull_tasks(server, server.find_tasks(tasks, status), folder, settings.file_access, val_every)
    splits = {
        split: DatasetSplit(path=str(path), support_files=[str(path.with_name("labels.txt"))])
        for split, path in found.splits.items()
    }
    done = open_dataset_registry(settings).register_content(name, name, splits, found.lineage)
    for remark in found.remarks:
        click.echo(remark, err=True)
    click.echo(f"{'is registered already as' if done.present else 'registered'} {done.ref}")


@cvat.command()
@click.argument("model", metavar="WEIGHTS|ID", shell_complete=complete_models)
@click.argument("images", nargs=-1, type=FilePath())
@click.option("--task", "tasks", multiple=True, metavar="NAME|ID", help="A task; may be repeated.")
@click.option("--create", metavar="NAME", help="Create this task of IMAGES first, with the model's classes as labels.")
@click.option("--threshold", type=Number(0, 1), metavar="T", help="Only scores above it. [default: the model's own]")
@click.option(
    "--iou", type=Number(0, 1), default=0.1, show_default=True, help="Only boxes that overlap no other by more."
)
def push(
    model: str,
    images: tuple[str, ...],
    tasks: tuple[str, ...],
    create: str | None,
    threshold: float | None,
    iou: float,
) -> None:
    """Add the predictions of a model to tasks, as `auto`, where nothing is drawn yet: one request for each task.

    IMAGES are what `mipredict` takes: files, folders, archive.zip, archive.zip@entry, data sets.
    """
    from mitorch_service.client.model import load, open_registry
    from mitorch_service.errors import InvalidInput, Problem
    from mitorch_service.interop.cvat.new_tasks import create_task
    from mitorch_service.interop.cvat.push import Rule, annotate
    from mitorch_service.operations.datasets.named_images import named_images
    from mitorch_service.settings import read_settings

    if bool(create) != bool(images) or not (tasks or create):
        problem = "give --task NAME for tasks that there are, or --create NAME with IMAGES for a new one"
        raise InvalidInput("midataset cvat push", [Problem("", problem)])
    settings = read_settings()
    with open_server(settings) as server:
        found = server.find_tasks(tasks) if tasks else []
        loaded = load(model)
        if loaded.kind != "detection":
            raise InvalidInput(model, [Problem("", "predicts classes of images: only boxes are pushed")])
        if create:
            with named_images(images, "val", open_registry) as paths:
                found.append(create_task(server, create, loaded.classes, paths))
        rule = Rule(loaded.threshold if threshold is None else threshold, iou)
        cache = settings.home / "cache" / "cvat"

        def predict(paths: Sequence[str]) -> list[AnnotatedImage]:
            return loaded.predict(paths, threshold=rule.threshold)

        _show([annotate(server, one, predict, rule, cache, settings.file_access) for one in found])


@cvat.command(name="push-xml")
@click.argument("folder", type=FilePath(file_okay=False, path_type=Path))
def push_xml(folder: Path) -> None:
    """Add the boxes of the CVAT XML files in FOLDER to the tasks that are called like the files; each box once."""
    from mitorch_service.errors import InvalidInput, Problem
    from mitorch_service.interop.cvat.push import add_files
    from mitorch_service.settings import read_settings

    files = sorted(folder.glob("*.xml"))
    if not files:
        raise InvalidInput(str(folder), [Problem("", "has no file NAME.xml, called like a task")])
    with open_server(read_settings()) as server:
        _show(add_files(server, files))


@cvat.command(name="update-ground-truth")
@click.argument("pattern")
@click.option("--from", "source", required=True, metavar="PATTERN", help="Words in the names of the tasks to take.")
def update_ground_truth(pattern: str, source: str) -> None:
    """Add the boxes of tasks with --from in their names to those with PATTERN in theirs, where the names are the same
    otherwise. A box that is there already is not added."""
    from mitorch_service.interop.cvat.push import update_ground_truth as update
    from mitorch_service.settings import read_settings

    with open_server(read_settings()) as server:
        _show(update(server, pattern, source))


@contextmanager
def open_server(settings: Settings) -> Iterator[CvatServer]:
    """Logs in to the server of the settings. Raises SettingsError, CvatError, MissingExtra."""
    from mitorch_service.errors import SettingsError
    from mitorch_service.interop.cvat.server import open_cvat

    for variable, value, remedy in (
        ("MITORCH_CVAT_URL", settings.cvat_url, "Set it to https://HOST[:PORT]."),
        ("MITORCH_CVAT_AUTH", settings.cvat_auth, "Set it to USER:PASSWORD, or to an access token."),
    ):
        if value is None:
            raise SettingsError(variable, "is not set", remedy)
    with open_cvat(settings.cvat_url or "", settings.cvat_auth or "") as server:
        yield server


def _show(done: Sequence[Pushed]) -> None:
    from mitorch_service.wording.counted import counted

    for one in done:
        left_out = ", ".join(f"{count} {reason}" for reason, count in one.left_out.items() if count)
        click.echo(
            f"{one.task.name}  {counted(one.added, 'box', 'boxes')} added" + (f"; not {left_out}" * bool(left_out))
        )
