"""micontrol backup."""

from __future__ import annotations

from pathlib import Path

import click

from mitorch_service.cli.parameters.parameter_types import FilePath


@click.command()
@click.argument("file", type=FilePath(dir_okay=False, path_type=Path))
@click.option("--artifacts", "with_artifacts", is_flag=True, help="With weights, checkpoints, logs, plots and code.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def backup(file: Path, with_artifacts: bool, as_json: bool) -> None:
    """Write the whole database into FILE, a zip file, beside everything that runs.

    `micontrol restore FILE` puts it back, into SQLite or MongoDB, whichever it came from. Addresses, passwords and
    tokens of the settings are not in it; SAS tokens of data set paths are.
    """
    from mitorch_service.cli.views.control.backup import show_backup, show_backup_json, show_progress
    from mitorch_service.operations.archives.backup import back_up
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_artifacts, open_store

    settings = read_settings()
    store = open_store(settings)
    artifacts = open_artifacts(settings) if with_artifacts else None
    report = back_up(store, artifacts, file, store.now(), show_progress)
    if as_json:
        show_backup_json(report)
    else:
        show_backup(report, f"in {file}")
