"""Tells whoever waits that no controller is at work."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from mitorch_service.errors import MiTorchError
from mitorch_service.models.heartbeat import missing_controller
from mitorch_service.stores.base import Store


def warn_of_missing_controller(store: Store) -> None:
    """Prints a line on stderr if no controller has made a pass for longer than its interval."""
    try:
        warning = missing_controller(store.controllers.last_pass(), datetime.now(UTC))
    except MiTorchError:
        return  # what was asked for is done: this must not fail it
    if warning is not None:
        click.echo(f"Note: {warning}", err=True)
