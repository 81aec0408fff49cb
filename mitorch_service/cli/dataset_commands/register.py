"""midataset register: data sets of a file of definitions, or of an Azure ML workspace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mitorch_service.cli.parameters.parameter_types import FilePath, Number, WholeNumber

if TYPE_CHECKING:
    from mitorch_service.interop.azureml_datasets.dataset_import import Pair

_CLUSTER = "Its workspace has the data sets, and the DATASTORE of azureml:// paths. [default: the only workspace]"
_IMAGES = "Instead of DEFINITIONS: an image set of the workspace; may be repeated."
_LABELS = "The label set of the image set in the same place."
_STORE = "What the folder of the images is called before image_url. [default: DATASTORE_NAME, else as the datastore]"
_NAME = "The data set's name. [default: that of the label set, without _labels]"


@click.command()
@click.argument("definitions", required=False, type=FilePath(dir_okay=False))
@click.option("--azureml-images", "images", multiple=True, metavar="NAME[:V]", help=_IMAGES)
@click.option("--azureml-labels", "labels", multiple=True, metavar="NAME[:V]", help=_LABELS)
@click.option("--val-images", multiple=True, metavar="NAME[:V]", help="The same for validation.")
@click.option("--val-labels", multiple=True, metavar="NAME[:V]", help="The same for validation.")
@click.option("--as", "name", metavar="NAME", help=_NAME)
@click.option("--datastore-name", envvar="DATASTORE_NAME", metavar="NAME", help=_STORE)
@click.option("--min-confidence", type=Number(0, 1), default=0.0, metavar="C", help="Leave out objects below it.")
@click.option(
    "--val-every", type=WholeNumber(2, 10**9), default=10, show_default=True, help="Of so many images one validates."
)
@click.option("--cluster", help=_CLUSTER)
def register(
    definitions: str | None,
    images: tuple[str, ...],
    labels: tuple[str, ...],
    val_images: tuple[str, ...],
    val_labels: tuple[str, ...],
    name: str | None,
    datastore_name: str | None,
    min_confidence: float,
    val_every: int,
    cluster: str | None,
) -> None:
    """Register the data sets in the file DEFINITIONS (JSON or YAML), a list of {name, version, train, val[, test]},
    each split {path, support_files}. Paths are relative to the file, or URLs in blob storage, or
    azureml://DATASTORE/PATH. Every file is checked first; all are registered, or none. A version that is registered
    gets new SAS tokens if nothing else differs.

    With --azureml-images and --azureml-labels, register data sets of an Azure ML workspace: File and Tabular, or data
    assets."""
    if bool(definitions) == bool(images):
        raise click.UsageError("midataset register takes DEFINITIONS, or --azureml-images with --azureml-labels")
    if definitions and (labels or val_images or val_labels or name or min_confidence):
        raise click.UsageError("only --cluster goes with DEFINITIONS: the other options are for --azureml-images")
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_dataset_registry

    settings = read_settings()
    if definitions:
        for one in open_dataset_registry(settings, cluster).register_file(definitions):
            click.echo(f"{'renewed the SAS tokens of' if one.renewed else 'registered'} {one.ref}")
        return
    from mitorch_service.interop.azureml_datasets.dataset_import import PairImport, Pairing
    from mitorch_service.operations.choose_cluster import choose_cluster
    from mitorch_service.operations.datasets.dataset_registration import checked_name
    from mitorch_service.wiring import open_asset_reader

    train, val = _pairs("--azureml", images, labels), _pairs("--val", val_images, val_labels)
    name = checked_name("--as", name or train[0].labels.name.removesuffix("_labels"))
    reader = open_asset_reader(choose_cluster(settings, cluster))
    found = PairImport(reader, Pairing(datastore_name, min_confidence, val_every)).make(name, train, val)
    registry = open_dataset_registry(settings, cluster)
    done = registry.register_content(name, name, found.splits, found.imported_from)
    for remark in found.remarks:
        click.echo(remark, err=True)
    click.echo(f"{'is registered already as' if done.present else 'registered'} {done.ref}")


def _pairs(option: str, images: Sequence[str], labels: Sequence[str]) -> list[Pair]:
    from mitorch_service.cli.parameters.arguments import dataset_ref
    from mitorch_service.errors import InvalidInput, Problem
    from mitorch_service.interop.azureml_datasets.dataset_import import Pair

    if len(images) != len(labels):
        problem = f"{len(images)} image sets and {len(labels)} label sets: give one of these for each of those"
        raise InvalidInput(f"{option}-images, {option}-labels", [Problem("", problem)])
    refs = (
        (dataset_ref(f"{option}-images", image), dataset_ref(f"{option}-labels", label))
        for image, label in zip(images, labels, strict=True)
    )
    return [Pair(image, label) for image, label in refs]
