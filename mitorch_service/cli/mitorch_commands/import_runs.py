"""mitorch import: take over finished runs of other systems."""

from __future__ import annotations

from pathlib import Path

import click

from mitorch_service.cli.parameters.parameter_types import FilePath, WholeNumber, Word

_SYSTEMS = ("tensorboard", "mlflow", "wandb", "trackio", "neptune")  # as in interop/registry.py, not to import it
_MOST_POINTS = 100_000


@click.command(name="import")
@click.argument("system", type=Word(_SYSTEMS), metavar="|".join(_SYSTEMS))
@click.argument("path", type=FilePath(exists=True, path_type=Path))
@click.option("--tag", "tags", multiple=True, metavar="K=V", help="For filtering; may be given more than once.")
@click.option(
    "--points",
    type=WholeNumber(1, _MOST_POINTS),
    default=1000,
    show_default=True,
    help="Rows of a curve at most: longer ones are thinned.",
)
@click.option(
    "--axis",
    type=Word(("auto", "epoch", "step")),
    default="auto",
    show_default=True,
    help="A row of the curve for each epoch, or for each step; auto: epochs where the run logged them.",
)
@click.option("--system-metrics", is_flag=True, help="Take over those of the machine (processor, memory, GPU), too.")
@click.option("--unfinished", is_flag=True, help="Take over runs that never reported an end, too, as failed.")
@click.option("--dry-run", is_flag=True, help="Only print what would be imported.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    system: str,
    path: Path,
    tags: tuple[str, ...],
    points: int,
    axis: str,
    system_metrics: bool,
    unfinished: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Import the finished runs of another system at PATH as trainings, so that old work stands beside new: status,
    parameters, curves, names, tags, notes and times.

    PATH is what that system has written: event files of TensorBoard, mlflow.db or mlruns, the folder wandb, a folder of
    Trackio, .neptune. A run that was imported before is left as it is. One that cannot be read is left out with the
    reason, and the exit code is 1.
    """
    from mitorch_service.cli.views.imported import ShownImport, show_imported, show_imported_json
    from mitorch_service.interop.import_runs import import_options, import_runs
    from mitorch_service.interop.registry import open_system
    from mitorch_service.settings import read_settings
    from mitorch_service.submission.submission import parse_tags
    from mitorch_service.wiring import open_store

    options = import_options(parse_tags(tags), points, axis, system_metrics, unfinished, dry_run)
    store = open_store(read_settings(), create=True)
    shown = ShownImport()
    report = import_runs(store, open_system(system), path, options, shown)
    shown.end()
    if as_json:
        show_imported_json(report, dry_run)
    else:
        show_imported(report, dry_run)
    return 1 if report.damaged else 0
