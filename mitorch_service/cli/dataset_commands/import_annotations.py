"""midataset import-annotations: a data set of obdb's annotations database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mitorch_service.cli.parameters.parameter_types import FilePath, WholeNumber

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mitorch_service.interop.obdb.dataset_import import Selection
    from mitorch_service.models.dataset import DatasetRef
    from mitorch_service.settings import Settings

_URI = "--db-uri"


@click.command(name="import-annotations")
@click.option(
    _URI, "uri", metavar="URI", help="mongodb://HOST:PORT. [default: MITORCH_OBDB_URI, which hides a password]"
)
@click.option("--db-name", "database", metavar="NAME", help="The database. [default: the URI's, else annotations]")
@click.option(
    "--tasks", "tasks", multiple=True, required=True, metavar="NAME", help="A recording; may be given more than once."
)
@click.option("--as", "name", required=True, metavar="NAME", help="The name of the data set.")
@click.option(
    "--images",
    type=FilePath(file_okay=False, path_type=Path),
    default=Path(),
    help="The folder below which the images are. [default: this one]",
)
@click.option(
    "--val-every", type=WholeNumber(2, 10**9), default=10, show_default=True, help="Of so many frames one validates."
)
def import_annotations(
    uri: str | None, database: str | None, tasks: tuple[str, ...], name: str, images: Path, val_every: int
) -> None:
    """Register recordings of obdb's annotations database as a data set.

    The same annotations are registered once; changed ones become the next version. Nothing is written there.
    """
    from mitorch_service.errors import SettingsError
    from mitorch_service.settings import obdb_uri, read_settings

    settings = read_settings()
    address = settings.obdb_uri if uri is None else obdb_uri(uri, _URI)
    if address is None:
        remedy = "Set it to mongodb://HOST:PORT/?authSource=annotations with user and password, or give --db-uri."
        raise SettingsError("MITORCH_OBDB_URI", "is not set: where is obdb's database?", remedy)
    from mitorch_service.interop.obdb.dataset_import import Selection

    ref, remarks = import_and_register(settings, Selection(address, tasks, images, database, val_every), name)
    for remark in remarks:
        click.echo(remark, err=True)
    click.echo(ref)


def import_and_register(settings: Settings, selection: Selection, name: str) -> tuple[DatasetRef, Sequence[str]]:
    """Returns the data set's version, new or as it was, and remarks on its content."""
    from mitorch_service.interop.obdb.dataset_import import import_dataset
    from mitorch_service.models.dataset import DatasetSplit
    from mitorch_service.operations.datasets.dataset_registration import checked_name
    from mitorch_service.wiring import open_dataset_registry

    folder = settings.home / "datasets" / checked_name("--as", name)
    found = import_dataset(selection, folder, settings.file_access)
    labels = str(next(iter(found.splits.values())).with_name("labels.txt"))
    splits = {split: DatasetSplit(path=str(path), support_files=[labels]) for split, path in found.splits.items()}
    done = open_dataset_registry(settings).register_content(name, name, splits, found.imported_from)
    state = "is registered already as" if done.present else "registered"
    return done.ref, [*found.remarks, f"{state} {done.ref}"]
