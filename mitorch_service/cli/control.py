"""micontrol: one pass of the controller, the loop, and what a person may do to trainings and jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.group(name="micontrol", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Without a command: one pass, which assigns new trainings, watches active ones, expands jobs."""
    if context.invoked_subcommand is None:
        from mitorch_service.cli.control_actions import one_pass

        context.exit(one_pass())


@command.command()
@click.option(
    "--every",
    type=click.FloatRange(0.05),
    help="Seconds between passes. [default: 1 with local clusters only, else 300]",
)
@click.option("--until-idle", is_flag=True, help="End once nothing is queued, running or to be expanded.")
def run(every: float | None, until_idle: bool) -> None:
    """Pass after pass, until Ctrl-C. Trainings go on without it; any number of these may run at once."""
    from mitorch_service.cli.control_actions import run_passes

    run_passes(every, until_idle)


@command.command()
@click.argument("id")
def cancel(id: str) -> None:
    """Cancel a training, or a job with all its trials."""
    from mitorch_service.cli.control_actions import cancel_id

    click.echo(cancel_id(id))


@command.command()
@click.argument("id")
def retry(id: str) -> None:
    """Queue an ended training again (failed, canceled, pruned or diverged), or all such trials of an active job."""
    from mitorch_service.cli.control_actions import retry_id

    click.echo(retry_id(id))


@command.command()
@click.argument("id")
@click.argument("n", type=click.IntRange(-(2**31), 2**31 - 1))
def priority(id: str, n: int) -> None:
    """Give a training, or a job with its waiting trials, the priority N; lower runs first. (-- before a negative N)"""
    from mitorch_service.cli.control_actions import prioritise_id

    click.echo(prioritise_id(id, n))


@command.command()
@click.argument("id")
def delete(id: str) -> None:
    """Delete an ended training, or an ended job with all its trials: documents, results and artifacts."""
    from mitorch_service.cli.control_actions import delete_id

    click.echo(delete_id(id))


@command.command()
@click.argument("id")
@click.option("--attempt", type=click.IntRange(1), help="Which one. [default: the current one]")
def logs(id: str, attempt: int | None) -> None:
    """Print the end of what a training's run has printed so far."""
    from mitorch_service.cli.control_actions import read_log

    click.echo(read_log(id, attempt), nl=False)


@command.command()
@click.option("--older-than", required=True, metavar="AGE", help="What ended longer ago: 12h, 180d, 26w, 6m (months).")
@click.option("--keep-best", is_flag=True, help="Keep the best trial (or Pareto front) of each job.")
@click.option("--keep-artifacts", is_flag=True, help="Keep weights and logs; else they go with their trainings.")
@click.option("--archive", type=click.Path(dir_okay=False, path_type=Path), help="Append what goes to FILE.jsonl.gz.")
@click.option("--delete", is_flag=True, help="Delete for good, without an archive.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.pass_context
def prune(context: click.Context, /, **options: Any) -> None:
    """Take trainings and jobs that ended long ago out of the database, into an archive or for good.

    It may run beside the service, and be stopped at any time: the next one, with the same archive, goes on. Trials of
    jobs that have not ended, and the bases of trainings that have not, always stay.
    """
    from mitorch_service.cli.control_prune import prune_ended

    context.exit(prune_ended(**options))


@command.command()
@click.option("--cost", is_flag=True, help="Instead: node hours and costs by cluster, day (UTC) and job.")
@click.option("--since", metavar="AGE", help="With --cost: of what was submitted since 12h, 30d, 6m. [default: 30d]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def status(cost: bool, since: str | None, as_json: bool) -> None:
    """Show the clusters with their capacity, and the queue.

    A cost is the time from a run's start to its end (or until now), times its nodes, times the price of a node hour
    that MITORCH_CLUSTERS named when it was assigned.
    """
    if since is not None and not cost:
        raise click.UsageError("--since belongs to --cost.")
    if cost:
        from mitorch_service.cli.views.costs import show_costs

        show_costs(since or "30d", as_json)
        return
    from mitorch_service.cli.control_actions import show_status

    show_status(as_json)


@command.command(name="register-model")
@click.argument("id")
@click.option("--name", required=True, help="Of the model: letters, digits, - _ . only.")
@click.option("--cluster", help="In whose workspace. [default: where it ran, or the only one]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def register_model(id: str, name: str, cluster: str | None, as_json: bool) -> None:
    """Register a completed training's model, or that of a job's winner, in the Azure ML workspace, with its
    metrics, data set version and config. The same model is registered once, however often it is asked for."""
    from mitorch_service.operations import model_registration

    training, model, notes = model_registration.register_model(id, name, cluster)
    for note in notes:
        click.echo(note, err=True)
    if as_json:
        from mitorch_service.cli.views.output import show_json

        show_json({"name": model.name, "version": model.version, "new": model.is_new, "training": training.id})
        return
    what = "registered" if model.is_new else "registered already"
    click.echo(f"{what}: {model.name}, version {model.version}, of training {training.id}")
