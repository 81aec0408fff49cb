"""misubmit with a settings file of obdb: queues a job or training for each of its variants."""

from __future__ import annotations

import click
from pydantic import JsonValue

from mitorch_service.cli.views.controller import warn_of_missing_controller
from mitorch_service.cli.views.group import show_group, show_group_explanation
from mitorch_service.cli.views.submitted import wait_for_all
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store
from mitorch_service.submission.group import submit_group
from mitorch_service.submission.obdb import build_obdb_group
from mitorch_service.submission.submission import Options
from mitorch_service.wiring import open_config_checks


def queue_obdb(
    store: Store,
    settings: Settings,
    source: str,
    data: dict[str, JsonValue],
    options: Options,
    *,
    again: bool,
    explain: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Queues or explains the variants; returns the exit code. Raises InvalidInput, and writes nothing, if anything is
    wrong."""
    checks = open_config_checks(settings)
    group, ignored = build_obdb_group(store, source, data, options, store.now(), checks, again)
    if ignored:
        click.echo(f"{source}: without a meaning here: {', '.join(ignored)}", err=True)
    if explain:
        show_group_explanation(source, store, group, as_json)
        return 0
    show_group(source, group, submit_group(store, group), as_json)
    warn_of_missing_controller(store)
    return wait_for_all(store, group.documents) if wait else 0
