"""micontrol: the controller's passes, and the operations on trainings and jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from mitorch_service.cli.control_commands import change, label
from mitorch_service.cli.control_commands.backup import backup
from mitorch_service.cli.control_commands.drill import drill
from mitorch_service.cli.control_commands.logs import logs
from mitorch_service.cli.control_commands.repair import repair
from mitorch_service.cli.control_commands.replay import replay
from mitorch_service.cli.control_commands.restore import restore
from mitorch_service.cli.control_commands.test_webhooks import test_webhooks
from mitorch_service.cli.parameters.completed_values import complete_ids
from mitorch_service.cli.parameters.parameter_types import FilePath, Number
from mitorch_service.cli.suggesting_group import SuggestingGroup


@click.group(name="micontrol", cls=SuggestingGroup, invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Without a command: one pass, which assigns new trainings, watches active ones, expands jobs."""
    if context.invoked_subcommand is None:
        from mitorch_service.cli.control_commands.control_run import one_pass

        context.exit(one_pass())


for _other in (change.cancel, change.retry, change.priority, change.delete, label.tag, label.name, label.note, logs):
    command.add_command(_other)
for _other in (backup, restore, repair, test_webhooks, replay, drill):
    command.add_command(_other)


@command.command()
@click.option(
    "--every",
    type=Number(0.05, 1e6),
    help="Seconds between passes. [default: 1 with local clusters only, else 300]",
)
@click.option("--until-idle", is_flag=True, help="End once nothing is queued, running or to be expanded.")
def run(every: float | None, until_idle: bool) -> None:
    """Pass after pass, until Ctrl-C. Trainings continue without it; any number of these may run at once."""
    from mitorch_service.cli.control_commands.control_run import run_passes

    run_passes(every, until_idle)


@command.command()
@click.option(
    "--older-than", required=True, metavar="AGE", help="Prune what ended longer ago: 12h, 180d, 26w, 6m (months)."
)
@click.option("--keep-best", is_flag=True, help="Keep the best trial (or Pareto front) of each job.")
@click.option("--keep-artifacts", is_flag=True, help="Keep weights and logs, which are deleted otherwise.")
@click.option(
    "--archive", type=FilePath(dir_okay=False, path_type=Path), help="Append what is pruned to FILE.jsonl.gz."
)
@click.option("--delete", is_flag=True, help="Delete for good, without an archive.")
@click.option("--dry-run", is_flag=True, help="Only print what would be pruned.")
@click.pass_context
def prune(
    context: click.Context,
    older_than: str,
    keep_best: bool,
    keep_artifacts: bool,
    archive: Path | None,
    delete: bool,
    dry_run: bool,
) -> None:
    """Move trainings and jobs that ended long ago out of the database, into an archive or for good.

    It may run beside the service, and be stopped at any time: the next one, with the same archive, continues. Trials of
    jobs that have not ended, and the bases of trainings that have not, are always kept.
    """
    if (archive is not None) + delete > 1 or not (archive or delete or dry_run):
        raise click.UsageError("Give --archive FILE to keep what is pruned in a file, or --delete to keep none of it.")
    from mitorch_service.cli.control_commands.control_prune import preview_prune, run_prune
    from mitorch_service.cli.parameters.arguments import age
    from mitorch_service.operations.archives.retention import PruneOptions

    options = PruneOptions(datetime.now(UTC) - age("--older-than", older_than), keep_best, keep_artifacts)
    if dry_run:
        preview_prune(options)
    else:
        context.exit(run_prune(options, archive))


@command.command()
@click.option("--cost", is_flag=True, help="Instead: node hours and costs by cluster, day (UTC) and job.")
@click.option("--since", metavar="AGE", help="With --cost: of what was submitted since 12h, 30d, 6m. [default: 30d]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def status(cost: bool, since: str | None, as_json: bool) -> None:
    """Show the controller's last pass, the clusters with their capacity, what runs, and the queue.

    A cost is the time from a run's start to its end (or until now), times its nodes, times the price of a node hour
    that MITORCH_CLUSTERS named when it was assigned.
    """
    if since is not None and not cost:
        raise click.UsageError("--since belongs to --cost.")
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_backends, open_store

    settings = read_settings()
    store = open_store(settings)
    now = store.now()
    if cost:
        from mitorch_service.cli.parameters.arguments import age
        from mitorch_service.cli.views.cost import show_costs, show_costs_json
        from mitorch_service.insights.cost import read_costs

        costs = read_costs(store, now - age("--since", since or "30d"), now)
        (show_costs_json if as_json else show_costs)(costs)
        return
    from mitorch_service.cli.views.control.service_status import show_status, show_status_json
    from mitorch_service.insights.service_status import read_status

    prices = {cluster.name: cluster.price for cluster in settings.clusters}
    found = read_status(store, open_backends(settings), now, settings.webhooks, settings.placement, prices)
    (show_status_json if as_json else show_status)(found, now)


@command.command(name="register-model")
@click.argument("id", shell_complete=complete_ids)
@click.option("--name", required=True, help="Name of the model: letters, digits, - _ . only.")
@click.option("--cluster", help="Use its workspace. [default: where the training ran, or the only one]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def register_model(id: str, name: str, cluster: str | None, as_json: bool) -> None:
    """Register a completed training's model, or that of a job's winner, in the Azure ML workspace, with its
    metrics, data set version and config. The same model is registered once, however often this is run."""
    from mitorch_service.cli.views.pages.output import show_json
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_model_registration

    done = open_model_registration(read_settings()).register(id, name, cluster)
    model = done.model
    training = done.training
    for note in done.notes:
        click.echo(note, err=True)
    if as_json:
        show_json({"name": model.name, "version": model.version, "new": model.is_new, "training": training.id})
        return
    what = "registered" if model.is_new else "registered already"
    click.echo(f"{what}: {model.name}, version {model.version}, of training {training.id}")
