"""What misubmit does with a settings file of obdb: a job or a training for each of its variants."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from mitorch_service.cli.submit_one import config_check, explanation, wait_for
from mitorch_service.cli.views.output import show_json
from mitorch_service.errors import InvalidInput
from mitorch_service.models.obdb import read_obdb
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store
from mitorch_service.submission.group import Group, build_group, check_group, submit_group
from mitorch_service.submission.lookups import Lookups
from mitorch_service.submission.obdb import documents
from mitorch_service.submission.submission import Options


def submit_obdb(
    store: Store,
    settings: Settings,
    read: tuple[str, dict[str, Any]],
    options: Options,
    *,
    again: bool,
    explain: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Queues or explains what the file, which read_config has read, asks for; returns the exit code. Raises
    InvalidInput, and writes nothing, if anything of it is wrong."""
    source, data = read
    file, problems = read_obdb(data)
    if file is None:
        raise InvalidInput(source, problems)
    now = datetime.now(UTC)
    submissions = check_group(Lookups(store), source, documents(file), options, config_check(settings))
    if file.ignored:
        click.echo(f"{source}: without a meaning here: {', '.join(file.ignored)}", err=True)
    group = build_group(store, data, submissions, options, now, again, tag="variant")
    if explain:
        _explain(store, group)
        return 0
    added = submit_group(store, group)
    _tell(source, group, added, as_json)
    return _waited(store, group) if wait else 0


def _explain(store: Store, group: Group) -> None:
    for name, document in group.documents.items():
        queued = " (is queued already)" if name in group.present else ""
        click.echo("\n".join([f"{name}{queued}:", *(f"  {line}" for line in explanation(document, store))]))


def _tell(source: str, group: Group, added: int, as_json: bool) -> None:
    if not added:
        click.echo(f"{source}: all of it is queued already; --again queues it once more", err=True)
    elif group.present:
        told = ", ".join(group.documents.keys() & group.present)
        click.echo(f"{source}: goes on where it was cut off; queued before: {told}", err=True)
    if as_json:
        submissions = [
            {"variant": name, "id": one.id, "kind": type(one).__name__.lower(), "dataset": str(one.dataset)}
            for name, one in group.documents.items()
        ]
        show_json({"source": source, "queued": added, "submissions": submissions})
        return
    for document in group.documents.values():
        click.echo(document.id)


def _waited(store: Store, group: Group) -> int:
    statuses = {name: wait_for(store, document) for name, document in group.documents.items()}
    for name, status in statuses.items():
        click.echo(f"{name}: {status}", err=True)
    return 0 if set(statuses.values()) == {"completed"} else 1
