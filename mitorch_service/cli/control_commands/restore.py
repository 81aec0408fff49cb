"""micontrol restore."""

from __future__ import annotations

from pathlib import Path

import click

from mitorch_service.cli.parameters.parameter_types import FilePath


@click.command()
@click.argument("archive", type=FilePath(dir_okay=False, path_type=Path))
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--dry-run", is_flag=True, help="Only print what would be restored.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def restore(archive: Path, ids: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Bring trainings and jobs back that `micontrol prune --archive` took out, with their curves: all in ARCHIVE, or
    those with the IDs given; a job with its trials.

    What is in the database already stays as it is. Weights and logs are in no archive; `prune --keep-artifacts` leaves
    them where they are.
    """
    from mitorch_service.cli.views.prune import show_restored, show_restored_json, show_restoring
    from mitorch_service.operations.restoration import restore as bring_back
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    report = bring_back(open_store(read_settings(), create=True), archive, ids, dry_run, show_restoring)
    if as_json:
        show_restored_json(report)
    else:
        show_restored(report, "would be restored (nothing was changed)" if dry_run else "restored")
