"""Prints why a training or job waits (`miquery --why`)."""

from __future__ import annotations

from dataclasses import asdict

import click

from mitorch_service.cli.views.output import show_fields, show_json, show_table
from mitorch_service.reports.why import Why
from mitorch_service.stores.trainings import Kind


def show_why(kind: Kind, why: Why) -> None:
    """Prints the reasons, and a table of the clusters."""
    show_fields([(kind, why.id), ("status", why.status)])
    for reason in why.reasons:
        click.echo(reason)
    if why.clusters:
        show_table("clusters", ("cluster", "why not there"), list(why.clusters.items()))


def show_why_json(why: Why) -> None:
    """Prints the same as one JSON document."""
    show_json(asdict(why))
