"""micontrol restore."""

from __future__ import annotations

from pathlib import Path

import click

from mitorch_service.cli.parameters.parameter_types import FilePath

_DRY = "would be restored (nothing was changed)"
_DONE = "restored"


@click.command()
@click.argument("archive", type=FilePath(dir_okay=False, path_type=Path))
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--dry-run", is_flag=True, help="Only print what would be restored.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def restore(archive: Path, ids: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Bring back what a file holds and the database does not. What is in the database already stays as it is.

    Of `micontrol backup`: everything, with the artifacts if they are in it. Of `micontrol prune --archive`: trainings
    and jobs with their curves, all or those with the IDs given (a job with its trials); weights and logs are in no such
    archive, `prune --keep-artifacts` leaves them where they are.
    """
    from mitorch_service.operations.archives.backup_restoration import is_backup

    if is_backup(archive):
        if ids:
            raise click.UsageError(f"{archive} is a backup, which is restored as a whole: leave out the ids.")
        _restore_backup(archive, dry_run, as_json)
    else:
        _restore_pruned(archive, ids, dry_run, as_json)


def _restore_backup(archive: Path, dry_run: bool, as_json: bool) -> None:
    from mitorch_service.cli.views.control.backup import show_backup, show_backup_json, show_progress
    from mitorch_service.operations.archives.backup_restoration import put_back
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_artifacts, open_store

    settings = read_settings()
    store, artifacts = open_store(settings, create=True), open_artifacts(settings)
    report = put_back(store, artifacts, archive, dry_run, show_progress)
    if as_json:
        show_backup_json(report)
    else:
        show_backup(report, _DRY if dry_run else _DONE)


def _restore_pruned(archive: Path, ids: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    from mitorch_service.cli.views.control.prune import show_restored, show_restored_json, show_restoring
    from mitorch_service.operations.archives.restoration import restore as bring_back
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    report = bring_back(open_store(read_settings(), create=True), archive, ids, dry_run, show_restoring)
    if as_json:
        show_restored_json(report)
    else:
        show_restored(report, _DRY if dry_run else _DONE)
