"""midataset: the data set registry."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from mitorch_service.cli.dataset_commands.check import check
from mitorch_service.cli.dataset_commands.cvat import cvat
from mitorch_service.cli.dataset_commands.export import export
from mitorch_service.cli.dataset_commands.import_annotations import import_annotations
from mitorch_service.cli.dataset_commands.register import register
from mitorch_service.cli.dataset_commands.split import split
from mitorch_service.cli.dataset_commands.suspects import suspects
from mitorch_service.cli.parameters.completed_values import complete_datasets
from mitorch_service.cli.suggesting_group import SuggestingGroup


@click.group(name="midataset", cls=SuggestingGroup)
def command() -> None:
    """Register, list, show, export and remove data sets. A registered version never changes, but for its SAS
    tokens."""


command.add_command(import_annotations)
command.add_command(register)


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_(as_json: bool) -> None:
    """List all data sets."""
    from mitorch_service.cli.views.pages.output import show_json, show_table
    from mitorch_service.cli.views.pages.page import Column
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    listing = open_store(read_settings()).datasets.list_datasets()
    if as_json:
        show_json([dataset.to_document() for dataset in listing.items])
        return
    columns = (
        Column("name", 0, 12),
        Column("version"),
        Column("splits", 2),
        Column("train", 1, 16, keeps_end=True),
        Column("registered", 3),
    )
    rows = [(d.name, d.version, "/".join(d.splits()), d.train.path, d.created_at) for d in listing.items]
    show_table("data sets", columns, rows)
    for broken in listing.broken:
        click.echo(str(broken), err=True)


@command.command()
@click.argument("ref", metavar="NAME[:V]", shell_complete=complete_datasets)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(ref: str, as_json: bool) -> None:
    """Show one data set with its classes, as counted when it was registered; without a version, the newest."""
    from mitorch_service.cli.parameters.arguments import dataset_ref
    from mitorch_service.cli.views.dataset import show_dataset
    from mitorch_service.cli.views.pages.output import show_json
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    dataset = open_store(read_settings()).datasets.get_dataset(dataset_ref("NAME", ref))
    if as_json:
        show_json(dataset.to_document())
        return
    show_dataset(dataset)


@command.command()
@click.argument("ref", metavar="NAME:V", shell_complete=complete_datasets)
def remove(ref: str) -> None:
    """Take one version out of the registry; its files stay. Refused while trainings that have not ended use it."""
    from mitorch_service.cli.parameters.arguments import dataset_ref
    from mitorch_service.operations.datasets.dataset_registration import remove_version
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    click.echo(f"removed {remove_version(open_store(read_settings()), dataset_ref('NAME:V', ref))}")


@command.group(cls=SuggestingGroup)
def datastore() -> None:
    """Blob containers that an Azure ML workspace knows by a name."""


@datastore.command(name="register")
@click.argument("name")
@click.option("--container", "url", required=True, metavar="URL", help="https://ACCOUNT.blob.core.windows.net/NAME")
@click.option(
    "--sas-from", metavar="VARIABLE", help="The variable that holds its SAS token (rl). [default: identities]"
)
@click.option("--cluster", help="Use its workspace. [default: the only one]")
def register_datastore(name: str, url: str, sas_from: str | None, cluster: str | None) -> None:
    """Give a blob container the NAME (letters, digits, _) in a workspace; again with a new SAS token, to renew it."""
    from mitorch_service.cli.parameters.arguments import secret
    from mitorch_service.operations.choose_cluster import choose_cluster
    from mitorch_service.operations.datasets.datastores import build_datastore
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_datastores

    sas = "" if sas_from is None else secret("--sas-from", sas_from, "put the SAS token into it")
    datastore = build_datastore(name, url, sas, sas_from or "", datetime.now(UTC))
    open_datastores(choose_cluster(read_settings(), cluster)).register_datastore(datastore)
    click.echo(f"registered {name}: {datastore.url}")


@datastore.command(name="list")
@click.option("--cluster", help="Use its workspace. [default: the only one]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_datastores(cluster: str | None, as_json: bool) -> None:
    """List a workspace's blob containers."""
    from mitorch_service.cli.views.pages.output import show_json, show_table
    from mitorch_service.operations.choose_cluster import choose_cluster
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_datastores

    found = open_datastores(choose_cluster(read_settings(), cluster)).datastores()
    if as_json:
        show_json([{"name": datastore.name, "container": datastore.url} for datastore in found])
        return
    show_table("datastores", ("name", "container"), [(datastore.name, datastore.url) for datastore in found])


command.add_command(cvat)
command.add_command(export)
command.add_command(split)
command.add_command(check)
command.add_command(suspects)
