"""Prints what was queued of a file with several documents."""

from __future__ import annotations

import click

from mitorch_service.cli.views.pages.output import show_json
from mitorch_service.cli.views.submitted import document_json
from mitorch_service.insights.explanation import explanation, explanation_json
from mitorch_service.stores.base import Store
from mitorch_service.submission.group import Group


def show_group(source: str, group: Group, added: int, as_json: bool) -> None:
    """Prints the ids of a group of which `added` documents are new."""
    if not added:
        click.echo(f"{source}: all of it is queued already; --again queues it once more", err=True)
    elif group.present:
        before = ", ".join(group.documents.keys() & group.present)
        click.echo(f"{source}: continued where it was cut off; queued before: {before}", err=True)
    if as_json:
        submissions = [{"variant": name, **document_json(one)} for name, one in group.documents.items()]
        show_json({"source": source, "queued": added, "submissions": submissions})
        return
    for document in group.documents.values():
        click.echo(document.id)


def show_group_explanation(source: str, store: Store, group: Group, as_json: bool) -> None:
    """Prints what each document of a group would do."""
    if as_json:
        submissions = [
            {"variant": name, "queued_before": name in group.present, **explanation_json(document, store)}
            for name, document in group.documents.items()
        ]
        show_json({"source": source, "submissions": submissions})
        return
    for name, document in group.documents.items():
        queued = " (is queued already)" if name in group.present else ""
        click.echo("\n".join([f"{name}{queued}:", *(f"  {line}" for line in explanation(document, store))]))
