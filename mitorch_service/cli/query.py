"""miquery: one training, one job, or the queue."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from mitorch_service.models.status import TrainingStatus

if TYPE_CHECKING:
    from mitorch_service.settings import Settings
    from mitorch_service.stores.base import Store

STATUSES = tuple(status.value for status in TrainingStatus)


@click.command(name="miquery")
@click.argument("id", required=False)
@click.option("--status", type=click.Choice(STATUSES), help="Only trainings in this status.")
@click.option("--job", metavar="ID", help="Only trials of this job.")
@click.option("--dataset", metavar="NAME", help="Only trainings on this data set.")
@click.option("--tag", metavar="K=V", help="Only trainings with this tag.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="Rows to show.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--why", is_flag=True, help="Explain why the training or job ID waits, cluster by cluster.")
@click.option("--watch", is_flag=True, help="Refresh every two seconds, until it has ended or Ctrl-C.")
def command(
    id: str | None,
    status: str | None,
    job: str | None,
    dataset: str | None,
    tag: str | None,
    limit: int,
    as_json: bool,
    why: bool,
    watch: bool,
) -> None:
    """Show one training (status, attempts, curve, evaluation, cost), one job (best trial, leaderboard, cost), or the
    newest trainings. An ID may be shortened to a unique prefix.

    With --why: the place in the queue and, for each cluster, the reason why the training cannot start there now. A
    pass considers one training more than there are free nodes; where some of these want certain clusters, 100 or four
    times the free nodes.
    """
    if why and (id is None or watch):
        raise click.UsageError("--why needs the ID of a training or job, and goes without --watch.")
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    settings = read_settings()
    store = open_store(settings)
    if why:
        _show_why(store, settings, str(id), as_json)
        return
    from mitorch_service.cli.views.open_view import open_view
    from mitorch_service.cli.views.watch import repeat

    view = open_view(store, id, status, job, dataset, tag, limit)
    if watch:
        repeat(view)
    elif as_json:
        view.show_json()
    elif not view.show() and view.waits:
        from mitorch_service.cli.views.controller import warn_of_missing_controller

        warn_of_missing_controller(store)


def _show_why(store: Store, settings: Settings, id: str, as_json: bool) -> None:
    from mitorch_service.cli.views.why import show_why, show_why_json
    from mitorch_service.controller.loop import Controller
    from mitorch_service.reports.why import explain
    from mitorch_service.wiring import open_backends

    kind, reasons = explain(store, Controller(store, open_backends(settings), settings.clusters), id, datetime.now(UTC))
    if as_json:
        show_why_json(reasons)
    else:
        show_why(kind, reasons)
