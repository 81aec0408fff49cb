"""Prints replays (`micontrol replay`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import click

from mitorch_service.cli.views.pages.output import show_json, show_table
from mitorch_service.cli.views.pages.page import Column
from mitorch_service.controller.replay.measures import Measures, ShareMeasures
from mitorch_service.insights.replaying.comparison import Comparison, Replayed
from mitorch_service.models.fair_share.share import share_name
from mitorch_service.wording.counted import counted
from mitorch_service.wording.elapsed import seconds_text

_SHOWN_SHARES = 20
_MEASURES: tuple[tuple[str, Callable[[Measures], str]], ...] = (
    ("mean wait", lambda m: seconds_text(m.wait.mean)),
    ("median wait", lambda m: seconds_text(m.wait.median)),
    ("95 % wait less than", lambda m: seconds_text(m.wait.p95)),
    ("longest wait", lambda m: seconds_text(m.wait.most)),
    ("mean slowdown", lambda m: f"{m.slowdown.mean:.2f}"),
    ("95 % slowed down less than", lambda m: f"{m.slowdown.p95:.2f}"),
    ("utilisation", lambda m: f"{m.utilisation:.1%}"),
    ("all done after", lambda m: seconds_text(m.length)),
    ("node hours", lambda m: f"{m.node_hours:.1f}"),
    ("cost", lambda m: f"{m.cost:.2f}"),
    ("fairness", lambda m: "-" if m.fairness is None else f"{m.fairness:.3f}"),
    ("backfilled", lambda m: str(m.backfilled)),
)


def show_replay(compared: Comparison) -> None:
    """Prints the measures, a column for each policy, and what each user or team got."""
    names = [_name(number, one) for number, one in enumerate(compared.replayed)]
    measured = [one.measures for one in compared.replayed]
    columns = (Column("measure"), *(Column(name, number, 12) for number, name in enumerate(names)))
    show_table(
        f"{counted(measured[0].trainings, 'training')} on {counted(sum(c.nodes for c in compared.clusters), 'node')}",
        columns,
        [(what, *(text(one) for one in measured)) for what, text in _MEASURES],
    )
    if measured[0].fairness is not None:
        _show_shares(compared, names)
    if measured[0].never:
        click.echo(f"{counted(measured[0].never, 'training')} left out, which none of the clusters can hold", err=True)


def show_replay_json(compared: Comparison) -> None:
    """Prints the same as one JSON document, with all shares."""
    policies = [
        {"policy": one.policy.model_dump(), **asdict(one.measures), "current": number == 0}
        for number, one in enumerate(compared.replayed)
    ]
    show_json({"by": compared.by, "clusters": [asdict(one) for one in compared.clusters], "policies": policies})


def _show_shares(compared: Comparison, names: list[str]) -> None:
    """The mean wait and slowdown of the shares that used the most."""
    by_share: list[dict[str, ShareMeasures]] = [
        {share.share: share for share in one.measures.shares} for one in compared.replayed
    ]
    most = sorted(by_share[0].values(), key=lambda one: -one.node_hours)[:_SHOWN_SHARES]
    rows = [
        (
            share_name(one.share, "team" if compared.by == "team" else "user"),
            one.trainings,
            f"{one.node_hours:.1f}",
            *(f"{seconds_text(of[one.share].wait)}, {of[one.share].slowdown:.1f}" for of in by_share),
        )
        for one in most
    ]
    columns = (Column(compared.by, 0, 12), Column("trainings", 3), Column("node hours", 2), *map(Column, names))
    show_table("mean wait and slowdown", columns, rows)


def _name(number: int, one: Replayed) -> str:
    text = one.policy.text()
    return f"now: {text}" if number == 0 else text
