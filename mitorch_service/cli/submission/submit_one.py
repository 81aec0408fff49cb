"""misubmit with one config: queues or explains it."""

from __future__ import annotations

from pathlib import Path

import click
from pydantic import JsonValue

from mitorch_service.cli.views.slow_storage import told_if_slow
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Training
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store
from mitorch_service.submission.submission import Options, build_submission, submit
from mitorch_service.wiring import open_config_checks


def queue_one(
    store: Store,
    settings: Settings,
    source: str,
    data: dict[str, JsonValue],
    folder: Path,
    options: Options,
    *,
    explain: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Queues or explains a config; the code of a script is relative to `folder`. Returns the exit code. Raises
    InvalidInput with every problem, ArtifactError."""
    checks = open_config_checks(settings, folder, upload=not explain, storing=told_if_slow(settings))
    document = build_submission(store, source, data, options, store.now(), checks)
    if explain:
        explain_one(document, store, as_json)
        return 0
    return queue_document(store, document, wait, as_json)


def queue_document(store: Store, document: Training | Job, wait: bool, as_json: bool) -> int:
    """Queues the document and prints its id; returns the exit code."""
    from mitorch_service.cli.views.controller import warn_of_missing_controller
    from mitorch_service.cli.views.submitted import show_submitted, wait_for

    submit(store, document)
    show_submitted(document, as_json)
    warn_of_missing_controller(store)
    return wait_for(store, document) if wait else 0


def explain_one(document: Training | Job, store: Store, as_json: bool) -> None:
    """Prints what would run."""
    from mitorch_service.cli.views.pages.output import show_json
    from mitorch_service.insights.explanation import explanation, explanation_json

    if as_json:
        show_json(explanation_json(document, store))
    else:
        click.echo("\n".join(explanation(document, store)))
