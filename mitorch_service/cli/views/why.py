"""Prints why a training or job waits (`miquery --why`)."""

from __future__ import annotations

from dataclasses import asdict

from mitorch_service.cli.views.pages.output import show_json, show_page
from mitorch_service.cli.views.pages.page import Block, Column, Fields, Lines, Page, Table
from mitorch_service.insights.waiting.why import Why
from mitorch_service.stores.verbs.trainings import Kind

_COLUMNS = (Column("cluster", 0, 12), Column("why not there", wraps=True))


def show_why(kind: Kind, why: Why) -> None:
    """Prints the reasons, and a table of the clusters."""
    blocks: list[Block] = [Fields([(kind, why.id), ("status", why.status)]), Lines(why.reasons)]
    if why.clusters:
        blocks.append(Table("clusters", _COLUMNS, list(why.clusters.items())))
    show_page(Page(blocks))


def show_why_json(why: Why) -> None:
    """Prints the same as one JSON document."""
    show_json(asdict(why))
