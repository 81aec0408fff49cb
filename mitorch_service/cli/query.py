"""miquery: one training, one job, or the queue."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from mitorch_service.cli.parameters.completed_values import complete_datasets, complete_ids_and_names, complete_jobs
from mitorch_service.cli.parameters.parameter_types import WholeNumber, Word
from mitorch_service.cli.parameters.table_options import TableOptions, table_options
from mitorch_service.models.status import TrainingStatus

if TYPE_CHECKING:
    from mitorch_service.cli.views.query.base import View
    from mitorch_service.settings import Settings
    from mitorch_service.stores.base import Store

STATUSES = tuple(status.value for status in TrainingStatus)


@click.command(name="miquery")
@click.argument("ids", metavar="[ID]...", nargs=-1, shell_complete=complete_ids_and_names)
@click.option("--status", type=Word(STATUSES), help="Only trainings in this status.")
@click.option("--job", metavar="ID", shell_complete=complete_jobs, help="Only trials of this job.")
@click.option("--dataset", metavar="NAME", shell_complete=complete_datasets, help="Only trainings on this data set.")
@click.option("--tag", metavar="K=V", help="Only trainings with this tag.")
@click.option("--name", help="Only trainings (with --jobs: jobs) of this name.")
@click.option("--jobs", is_flag=True, help="List jobs in place of trainings.")
@click.option("--all", "all_trials", is_flag=True, help="Of a job all trials, failed and pruned ones too.")
@click.option("--limit", type=WholeNumber(1, 1_000_000), help="Rows to show. [default: 20; with --all: 10000]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; with --watch one in each line.")
@click.option(
    "--csv", "as_csv", is_flag=True, help="Print CSV: the curves of the trainings ID, or all rows of a table."
)
@click.option("--why", is_flag=True, help="Explain why the training or job ID waits, cluster by cluster.")
@click.option("--watch", is_flag=True, help="Refresh every two seconds, until it has ended or Ctrl-C.")
@table_options
def command(
    ids: tuple[str, ...],
    status: str | None,
    job: str | None,
    dataset: str | None,
    tag: str | None,
    name: str | None,
    jobs: bool,
    all_trials: bool,
    limit: int | None,
    as_json: bool,
    as_csv: bool,
    why: bool,
    watch: bool,
    table: TableOptions,
) -> None:
    """Show one training (status, attempts, curve, evaluation, cost), one job (best trial, leaderboard, cost), several
    trainings side by side, or the queue: what runs, what comes next, what ended (with --json the newest first). An ID
    may be shortened to a unique prefix, or be a name. Times are UTC.

    With --where, --sort, --columns or --group-by: a table of trainings (docs/queries.md).

    With --why: the place in the queue and, for each cluster, the reason why the training cannot start there now. A
    pass considers one training more than there are free nodes; where some of these want certain clusters, 100 or four
    times the free nodes.
    """
    filters = {"--status": status, "--job": job, "--dataset": dataset, "--tag": tag, "--name": name}
    options = table.given()
    _refuse_contradictions(ids, [*(name for name, value in filters.items() if value), *options], jobs, all_trials)
    if options or (as_csv and not ids):
        if why:
            raise click.UsageError("--why needs the ID of one training or job.")
        from mitorch_service.cli.query_table import Output, query_table

        query_table(table, filters, Output(limit, as_json, as_csv, watch))
        return
    _refuse_formats(ids, as_json, as_csv, why, watch)
    from mitorch_service.cli.views.query.open_view import Choice, open_comparison, open_view
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    settings = read_settings()
    store = open_store(settings)
    if why:
        _show_why(store, settings, ids[0], as_json)
    elif as_csv:
        open_comparison(store, ids).show_csv()
    else:
        choice = Choice(ids, status, job, dataset, tag, name, jobs, all_trials, limit)
        _show(store, open_view(store, choice), as_json, watch)


def _refuse_contradictions(ids: tuple[str, ...], filters: list[str], jobs: bool, all_trials: bool) -> None:
    if ids and (filters or jobs):
        raise click.UsageError(f"{(filters or ['--jobs'])[0]} filters a list: give it without an ID.")
    if jobs and (wrong := [option for option in filters if option != "--name"]):
        raise click.UsageError(f"{wrong[0]} filters trainings: of jobs there is --name only.")
    if all_trials and len(ids) != 1:
        raise click.UsageError("--all belongs to the ID of one job.")


def _refuse_formats(ids: tuple[str, ...], as_json: bool, as_csv: bool, why: bool, watch: bool) -> None:
    if why and (len(ids) != 1 or watch or as_csv):
        raise click.UsageError("--why needs the ID of one training or job, and goes without --watch and --csv.")
    if as_csv and (not ids or as_json or watch):
        raise click.UsageError("--csv needs the IDs of trainings, and goes without --json and --watch.")


def _show(store: Store, view: View, as_json: bool, watch: bool) -> None:
    if watch:
        from mitorch_service.cli.views.pages import watch as watching

        (watching.watch_json if as_json else watching.watch)(view)
    elif as_json:
        view.show_json()
    else:
        view.show()
        if view.waits and not view.has_ended():
            from mitorch_service.cli.views.controller import warn_of_missing_controller

            warn_of_missing_controller(store)


def _show_why(store: Store, settings: Settings, id: str, as_json: bool) -> None:
    from mitorch_service.cli.views.why import show_why, show_why_json
    from mitorch_service.controller.loop import Controller
    from mitorch_service.insights.waiting.why import explain
    from mitorch_service.wiring import open_backends

    controller = Controller(store, open_backends(settings), settings.clusters, policy=settings.placement)
    kind, reasons = explain(store, controller, id, datetime.now(UTC))
    if as_json:
        show_why_json(reasons)
    else:
        show_why(kind, reasons)
