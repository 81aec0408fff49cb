"""Prints what was queued, and waits for its end."""

from __future__ import annotations

import time
from collections.abc import Mapping

import click

from mitorch_service.cli.views.pages.escapes import one_line
from mitorch_service.cli.views.pages.output import show_json
from mitorch_service.models.search.job import Job
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store

_POLL_SECONDS = 1.0


def show_submitted(document: Training | Job, as_json: bool) -> None:
    """Prints the id, or one JSON document."""
    if as_json:
        show_json(document_json(document))
    else:
        click.echo(document.id)


def document_json(document: Training | Job) -> dict[str, object]:
    """The id with what it is of, for JSON."""
    return {"id": document.id, "kind": type(document).__name__.lower(), "dataset": str(document.dataset)}


def wait_for(store: Store, document: Training | Job) -> int:
    """Waits for the end and prints the status; returns the exit code, 0 if it completed."""
    status = _wait(store, document)
    click.echo(_end_text(store, document, status), err=True)
    return 0 if status == "completed" else 1


def wait_for_all(store: Store, documents: Mapping[str, Training | Job]) -> int:
    """Waits for several, by name; returns 0 if all completed."""
    statuses = {name: _wait(store, document) for name, document in documents.items()}
    for name, status in statuses.items():
        click.echo(f"{name}: {_end_text(store, documents[name], status)}", err=True)
    return 0 if set(statuses.values()) == {"completed"} else 1


def _end_text(store: Store, document: Training | Job, status: str) -> str:
    """The status, with the reason where it is not completed."""
    from mitorch_service.insights.endings import reason_of

    reason = None if status == "completed" else reason_of(store, document)
    return one_line(mask_secrets(f"{status}: {reason}" if reason else status))


def _wait(store: Store, document: Training | Job) -> str:
    from mitorch_service.insights.endings import wait_for_end

    return wait_for_end(store, document, lambda: time.sleep(_POLL_SECONDS))
