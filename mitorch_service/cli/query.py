"""miquery: one training, one job, or the queue."""

from __future__ import annotations

import click

STATUSES = ("new", "queued", "running", "completed", "failed", "canceled", "pruned", "diverged")


@click.command(name="miquery")
@click.argument("id", required=False)
@click.option("--status", type=click.Choice(STATUSES), help="Only trainings in this status.")
@click.option("--job", metavar="ID", help="Only trials of this job.")
@click.option("--dataset", metavar="NAME", help="Only trainings on this data set.")
@click.option("--tag", metavar="K=V", help="Only trainings with this tag.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="Rows to show.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--watch", is_flag=True, help="Show it anew every two seconds, until it has ended or Ctrl-C.")
def command(
    id: str | None,
    status: str | None,
    job: str | None,
    dataset: str | None,
    tag: str | None,
    limit: int,
    as_json: bool,
    watch: bool,
) -> None:
    """Show one training (status, attempts, curve, evaluation), one job (best trial, leaderboard), or the newest
    trainings. An ID may be shortened to a unique prefix."""
    from mitorch_service.cli.views import View, open_view
    from mitorch_service.cli.watching import repeat
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    store = open_store(read_settings())
    view: View = open_view(store, id, status, job, dataset, tag, limit)
    if watch:
        repeat(view)
    elif as_json:
        view.show_json()
    else:
        view.show()
