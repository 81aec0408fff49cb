"""midataset suspects: find labels that are probably wrong."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mitorch_service.cli.parameters.completed_values import complete_datasets, complete_models
from mitorch_service.cli.parameters.parameter_types import FilePath, WholeNumber
from mitorch_service.cli.views.pages.escapes import one_line

if TYPE_CHECKING:
    from mitorch_service.settings import Settings
    from mitorch_service.stores.base import Store
    from mitorch_service.training.data.image_list import ImageList
    from mitorch_service.training.suspects.ranking import Ranking, Suspect

_SHOWN = 20
_MOST_MODELS = 20  # of one job
_COLUMNS = ("rank", "kind", "split", "image", "label", "suggested", "score", "box", "suggested_box")


@click.command()
@click.argument("ref", metavar="NAME[:V]", shell_complete=complete_datasets)
@click.option(
    "--with",
    "models",
    metavar="ID|JOB|WEIGHTS",
    multiple=True,
    required=True,
    shell_complete=complete_models,
    help="Trained models, again for each; all completed trials of a job.",
)
@click.option("-n", "count", type=WholeNumber(min=1), default=200, show_default=True, help="How many are listed.")
@click.option("-o", "--sheet", type=FilePath(dir_okay=False, path_type=Path), help="Draw the first 60 here (PNG).")
@click.option("--csv", "table", type=FilePath(dir_okay=False, path_type=Path), help="Write them here.")
@click.option("--cvat", "task", metavar="TASK", help="Create this task of them on the CVAT server, in their order.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def suspects(
    ref: str,
    models: tuple[str, ...],
    count: int,
    sheet: Path | None,
    table: Path | None,
    task: str | None,
    as_json: bool,
) -> None:
    """Rank the images and boxes of a data set by how much trained models disagree with their labels.

    Several models judge better than one, and images that they were not trained on better than those they were: a model
    learns the wrong labels of its own training images, too. Where some of several trainings have not seen an image,
    they alone judge it. For --cvat, MITORCH_CVAT_URL and MITORCH_CVAT_AUTH are as for midataset cvat.
    """
    from mitorch_service.cli.parameters.arguments import dataset_ref
    from mitorch_service.cli.views.pages.output import show_json
    from mitorch_service.operations.datasets.dataset_leaks import read_all_splits
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    settings = read_settings()
    if task is not None:
        _check_unused(settings, task)
    store = open_store(settings)
    dataset = store.datasets.get_dataset(dataset_ref("NAME", ref))
    lists = read_all_splits(dataset)
    ranking = _judged(store, lists, models)
    found = ranking.suspects[:count]
    if table is not None:
        _write(table, found)
    if sheet is not None and found:
        from mitorch_service.training.suspects.suspect_sheet import draw_suspects

        draw_suspects(found, lists, f"labels of {dataset.ref} that may be wrong", sheet)
    if task is not None and found:
        _create_task(settings, task, found, lists)
    if as_json:
        rows = [dict(zip(_COLUMNS, row, strict=True)) for row in _rows(found)]
        show_json({"dataset": str(dataset.ref), "images": ranking.images, "suspects": rows})
        return
    _show(found, ranking.images, [path for path in (table, sheet) if path is not None])


def _judged(store: Store, lists: Mapping[str, ImageList], models: tuple[str, ...]) -> Ranking:
    """Lets all models predict, and tells what they cannot judge."""
    from mitorch_service.client.model import load_file, weights_of
    from mitorch_service.operations.datasets.trained_images import TrainedImages
    from mitorch_service.training.suspects.ranking import Readings

    readings, trained = Readings(lists), TrainedImages(store)
    for name in _each_model(store, models):
        with weights_of(name, "used to judge labels") as weights:
            click.echo(f"looking at {sum(map(len, lists.values())):,} images with {weights.name}", err=True)
            readings.add(load_file(weights.path, source=weights.name), weights.name, trained.of(weights.dataset))
    ranking = readings.rank()
    for problem in ranking.damaged:
        click.echo(f"left out: {problem}", err=True)
    if ranking.learned:
        told = f"{ranking.learned:,} of {ranking.images:,} images were trained on by every model"
        click.echo(f"{told}: their wrong labels may have been learned (docs/splits.md#wrong-labels)", err=True)
    return ranking


def _check_unused(settings: Settings, task: str) -> None:
    """Logs in and looks for the task before anything is predicted."""
    from mitorch_service.cli.dataset_commands.cvat import open_server

    with open_server(settings) as server:
        server.check_unused(task)


def _create_task(settings: Settings, task: str, found: list[Suspect], lists: Mapping[str, ImageList]) -> None:
    from mitorch_service.cli.dataset_commands.cvat import open_server
    from mitorch_service.interop.cvat.new_tasks import create_annotated_task
    from mitorch_service.training.suspects.suspect_images import suspect_images
    from mitorch_service.wording.counted import counted

    images = suspect_images(found, lists)
    with open_server(settings) as server:
        create_annotated_task(server, task, next(iter(lists.values())).classes, images)
    click.echo(f"created the task {task} of {counted(len(images), 'image')}", err=True)


def _each_model(store: Store, models: tuple[str, ...]) -> Iterator[str]:
    """Weights and ids; of a job all completed trials, 20 at most."""
    from mitorch_service.errors import NotFound
    from mitorch_service.insights.lookup import look_up_one
    from mitorch_service.models.status import TrainingStatus
    from mitorch_service.stores.verbs.trainings import TrainingFilter

    for name in models:
        kind, id = ("file", name) if Path(name).is_file() else look_up_one(store, name)
        if kind != "job":
            yield id
            continue
        filter = TrainingFilter(status=TrainingStatus.COMPLETED, job_id=id)
        rows = store.trainings.list_trainings(filter, _MOST_MODELS).items
        if not rows:
            raise NotFound("completed trial", f"of job {id}", "Wait for one: see miquery.")
        yield from (row.id for row in rows)


def _rows(found: list[Suspect]) -> Iterator[tuple[object, ...]]:
    for rank, one in enumerate(found, 1):
        boxes = [
            None if box is None else [round(side, 2) for side in (box.left, box.top, box.right, box.bottom)]
            for box in (one.box, one.suggested_box)
        ]
        yield rank, one.kind, one.split, one.image, one.label, one.suggested, one.score, *boxes


def _write(table: Path, found: list[Suspect]) -> None:
    from mitorch_service.errors import DataError

    try:
        with table.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            for row in _rows(found):
                writer.writerow([_cell(value) for value in row])
    except OSError as error:
        raise DataError(f"{table}: cannot be written ({error.strerror}). Choose another path with --csv.") from error


def _cell(value: object) -> object:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return one_line(value) if isinstance(value, str) else value


def _show(found: list[Suspect], images: int, written: list[Path]) -> None:
    from mitorch_service.cli.views.pages.output import show_table

    rows = [[one.kind, one.split, one.image, one.label, one.suggested, one.score] for one in found[:_SHOWN]]
    columns = ["kind", "split", "image", "label", "suggested", "score"]
    show_table(f"the most suspect of {images:,} images", columns, rows)
    if len(found) > _SHOWN:
        click.echo(f"… and {len(found) - _SHOWN:,} more (--csv, --json)")
    for path in written:
        click.echo(f"wrote  {path}")
