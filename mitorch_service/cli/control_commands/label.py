"""micontrol tag, name, note."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from mitorch_service.cli.control_commands.selection import Asked, selection_options
from mitorch_service.cli.parameters.completed_values import complete_ids
from mitorch_service.models.status import TrainingStatus

if TYPE_CHECKING:
    from mitorch_service.operations.lifecycle import Change
    from mitorch_service.stores.base import Store
    from mitorch_service.stores.verbs.trainings import Kind


@click.command()
@selection_options(TrainingStatus, "[ID]... [K=V]...")
@click.option("--remove", multiple=True, metavar="K", help="Take away the tag with this key; may be given repeatedly.")
def tag(asked: Asked, remove: tuple[str, ...]) -> int:
    """Tag trainings, or jobs with all their trials: each K=V takes the place of the tags with the key K."""
    from mitorch_service.cli.views.control.change import tag_text
    from mitorch_service.operations.relabel import TagChange, change_tags
    from mitorch_service.operations.selection import EVERYTHING
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    tags = tuple(word for word in asked.ids if "=" in word)
    if not tags and not remove:
        raise click.UsageError("Give K=V, such as team=vision, or --remove K.")
    asked = replace(asked, ids=tuple(word for word in asked.ids if "=" not in word))
    store, change = open_store(read_settings()), TagChange(tags, remove)
    return asked.change(store, EVERYTHING, "tag", lambda kind, id: change_tags(store, kind, id, change), tag_text)


@click.command()
@click.argument("id", shell_complete=complete_ids)
@click.argument("text", required=False)
@click.option("--remove", is_flag=True, help="Take the name away.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def name(id: str, text: str | None, remove: bool, as_json: bool) -> int:
    """Give a training or job a name, in place of the one that it has."""
    from mitorch_service.operations.relabel import set_name

    return _label(set_name, "name", id, text, remove, as_json)


@click.command()
@click.argument("id", shell_complete=complete_ids)
@click.argument("text", required=False)
@click.option("--remove", is_flag=True, help="Take the note away.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def note(id: str, text: str | None, remove: bool, as_json: bool) -> int:
    """Write a note for people on a training or job, in place of the one that it has."""
    from mitorch_service.operations.relabel import set_note

    return _label(set_note, "note", id, text, remove, as_json)


def _label(
    change: Callable[[Store, Kind, str, str | None], Change],
    what: str,
    id: str,
    text: str | None,
    remove: bool,
    as_json: bool,
) -> int:
    from mitorch_service.cli.views.control.change import label_text
    from mitorch_service.operations.selection import EVERYTHING
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    if (text is None) != remove:
        raise click.UsageError(f"Give the {what}, or --remove to take it away.")
    store = open_store(read_settings())
    asked = Asked((id,), None, None, None, True, as_json)
    return asked.change(
        store,
        EVERYTHING,
        what,
        lambda kind, whole: change(store, kind, whole, text),
        lambda done: label_text(done, what, text),
    )
