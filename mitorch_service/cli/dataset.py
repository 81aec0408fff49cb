"""midataset: the data set registry."""

from __future__ import annotations

import click


@click.group(name="midataset")
def command() -> None:
    """Register, list, show and remove data sets. A registered version never changes."""


@command.command()
@click.argument("definitions", type=click.Path(dir_okay=False))
@click.option("--cluster", help="In whose workspace azureml://DATASTORE is. [default: the only workspace]")
def register(definitions: str, cluster: str | None) -> None:
    """Register the data sets in the JSON file DEFINITIONS, a list of {name, version, train, val[, test]}, each split
    {path, support_files}. Paths are relative to the file, or URLs in blob storage, or azureml://DATASTORE/PATH. Every
    file is checked first; all are registered, or none."""
    from mitorch_service.operations.dataset_registration import register_file

    for ref in register_file(definitions, cluster):
        click.echo(f"registered {ref}")


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_(as_json: bool) -> None:
    """List all data sets."""
    from mitorch_service.cli.views.output import show_json, show_table
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    listing = open_store(read_settings()).datasets.list_datasets()
    if as_json:
        show_json([dataset.to_document() for dataset in listing.items])
        return
    rows = [(d.name, d.version, "/".join(d.splits()), d.train.path, d.created_at) for d in listing.items]
    show_table("data sets", ("name", "version", "splits", "train", "registered"), rows)
    for broken in listing.broken:
        click.echo(str(broken), err=True)


@command.command()
@click.argument("ref", metavar="NAME[:V]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(ref: str, as_json: bool) -> None:
    """Show one data set; without a version, the newest."""
    from mitorch_service.cli.submit_one import dataset_ref
    from mitorch_service.cli.views.output import show_fields, show_json
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    dataset = open_store(read_settings()).datasets.get_dataset(dataset_ref("NAME", ref))
    if as_json:
        show_json(dataset.to_document())
        return
    fields: list[tuple[str, object]] = [("data set", dataset.ref), ("registered", dataset.created_at)]
    for name, split in dataset.splits().items():
        fields += [(name, split.path), (f"{name} files", split.support_files)]
    show_fields(fields)


@command.command()
@click.argument("ref", metavar="NAME:V")
def remove(ref: str) -> None:
    """Take one version out of the registry; its files stay. Refused while trainings that have not ended use it."""
    from mitorch_service.cli.submit_one import dataset_ref
    from mitorch_service.operations.dataset_registration import remove_version

    click.echo(f"removed {remove_version(dataset_ref('NAME:V', ref))}")


@command.group()
def datastore() -> None:
    """Blob containers that an Azure ML workspace knows by a name."""


@datastore.command(name="register")
@click.argument("name")
@click.option("--container", "url", required=True, metavar="URL", help="https://ACCOUNT.blob.core.windows.net/NAME")
@click.option(
    "--sas-from", metavar="VARIABLE", help="The variable that holds its SAS token (rl). [default: identities]"
)
@click.option("--cluster", help="In whose workspace. [default: the only one]")
def register_datastore(name: str, url: str, sas_from: str | None, cluster: str | None) -> None:
    """Give a blob container the NAME (letters, digits, _) in a workspace; again with a new SAS token, to renew it."""
    from mitorch_service.operations.datastores import add_datastore

    click.echo(f"registered {add_datastore(name, url, sas_from, cluster)}")


@datastore.command(name="list")
@click.option("--cluster", help="Of whose workspace. [default: the only one]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_datastores(cluster: str | None, as_json: bool) -> None:
    """List a workspace's blob containers."""
    from mitorch_service.cli.views.output import show_json, show_table
    from mitorch_service.operations.datastores import workspace_datastores

    found = workspace_datastores(cluster)
    if as_json:
        show_json([{"name": datastore.name, "container": datastore.url} for datastore in found])
        return
    show_table("datastores", ("name", "container"), [(datastore.name, datastore.url) for datastore in found])
