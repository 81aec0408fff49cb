"""mitorch doctor: checks the settings and all that they name."""

from __future__ import annotations

from functools import partial

import click

from mitorch_service.cli.parameters.parameter_types import Number


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--timeout",
    type=Number(0.1, 1e6),
    default=60.0,
    show_default=True,
    help="Seconds for each part; all are checked at the same time.",
)
def command(as_json: bool, timeout: float) -> int:
    """Check settings, database, storage, clusters and the training packages: one line each, with the remedy.

    Of an Azure ML cluster: sign-in, subscription, workspace, region, compute, quota, key vault (a secret
    mitorch-doctor is written and read) and environment.
    """
    from mitorch_service.cli.views.pages.output import show_json, show_page
    from mitorch_service.cli.views.pages.page import Lines, Page
    from mitorch_service.operations.diagnosis import Openers, diagnose
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_artifacts, open_backends, open_existing_store, open_self_check

    openers = Openers(open_existing_store, partial(open_artifacts, anew=True), open_backends, open_self_check)
    findings = diagnose(read_settings, openers, timeout)
    if as_json:
        show_json([finding.__dict__ for finding in findings])
    else:
        show_page(Page([Lines([f"{'ok  ' if one.ok else 'FAIL'}  {one.what}: {one.text}" for one in findings])]))
    return int(not all(finding.ok for finding in findings))
