"""micontrol replay: a workload under other policies, or on other clusters, with simulated runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mitorch_service.cli.parameters.parameter_types import FilePath, Number

if TYPE_CHECKING:
    from mitorch_service.controller.replay.work import Nodes, Work
    from mitorch_service.insights.replaying.comparison import Comparison
    from mitorch_service.settings import Settings


@click.command()
@click.option(
    "--workload",
    type=FilePath(exists=True, dir_okay=False, path_type=Path),
    help="Replay the trainings in FILE: JSON lines, or *.swf (Standard Workload Format).",
)
@click.option("--from-history", is_flag=True, help="Replay what has ended in the database.")
@click.option("--since", metavar="AGE", help="With --from-history: what ended since 12h, 30d, 6m. [default: 30d]")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="JSON|FILE",
    help="A policy, as in MITORCH_PLACEMENT, beside the current one; may be repeated. {} is first come, first served.",
)
@click.option("--clusters", metavar="JSON|FILE", help="Use these clusters. [default: those of MITORCH_CLUSTERS]")
@click.option(
    "--every", type=Number(1, 1e6), default=60.0, show_default=True, help="Seconds between passes of the controller."
)
@click.option(
    "--gantt", type=FilePath(dir_okay=False, path_type=Path), help="Draw who used which node when, as FILE.svg."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def replay(
    workload: Path | None,
    from_history: bool,
    since: str | None,
    policies: tuple[str, ...],
    clusters: str | None,
    every: float,
    gantt: Path | None,
    as_json: bool,
) -> None:
    """Show how a workload would have waited under other policies or on other clusters.

    The trainings are placed by the code of a real pass, on a clock that jumps; nothing is started and nothing is
    written. The first column is the current policy, that of MITORCH_PLACEMENT.
    """
    if (workload is None) == (not from_history):
        raise click.UsageError("Give --workload FILE or --from-history.")
    if since is not None and not from_history:
        raise click.UsageError("--since belongs to --from-history.")
    if gantt is not None and gantt.suffix.lower() != ".svg":
        raise click.UsageError(f"--gantt: {gantt} does not end in .svg, the only format that is drawn.")
    from mitorch_service.cli.views.control.replay import show_replay, show_replay_json
    from mitorch_service.insights.replaying.comparison import compare
    from mitorch_service.insights.replaying.workload_file import read_workload
    from mitorch_service.placement_settings.policy import read_policy
    from mitorch_service.settings import read_settings

    settings = read_settings()
    tried = [settings.placement, *(read_policy(text, "--policy") for text in policies)]
    nodes = _nodes(settings, clusters)
    work = read_workload(workload) if workload is not None else _recorded(settings, since)
    compared = compare(work, nodes, list(dict.fromkeys(tried)), every)
    if gantt is not None:
        _draw(compared, gantt)
    (show_replay_json if as_json else show_replay)(compared)


def _draw(compared: Comparison, file: Path) -> None:
    from mitorch_service.errors import InvalidInput, Problem
    from mitorch_service.insights.replaying.gantt import draw_gantt

    try:
        file.write_text(draw_gantt(compared), "utf-8")
    except OSError as error:
        raise InvalidInput("--gantt", [Problem(str(file), f"cannot be written: {error.strerror}")]) from error


def _nodes(settings: Settings, clusters: str | None) -> list[Nodes]:
    from mitorch_service.controller.plan.placing.placement import Cluster
    from mitorch_service.errors import InvalidInput, Problem
    from mitorch_service.insights.replaying.replay_clusters import given_clusters, present_clusters
    from mitorch_service.wiring import open_backends

    if clusters is not None:
        return given_clusters(clusters)
    facts = {config.name: Cluster.of(config) for config in settings.clusters}
    found = present_clusters(facts, open_backends(settings))
    if not found:
        raise InvalidInput("MITORCH_CLUSTERS", [Problem("", "has no nodes at all: give others by --clusters")])
    return found


def _recorded(settings: Settings, since: str | None) -> list[Work]:
    from mitorch_service.cli.parameters.arguments import age
    from mitorch_service.errors import InvalidInput, Problem
    from mitorch_service.insights.replaying.recorded_work import recorded_work
    from mitorch_service.insights.replaying.workload_file import MOST
    from mitorch_service.wiring import open_store

    store = open_store(settings)
    work = recorded_work(store, store.now() - age("--since", since or "30d"), MOST)
    if not work:
        raise InvalidInput("--from-history", [Problem("", "nothing has ended since then: give a longer --since")])
    return work
