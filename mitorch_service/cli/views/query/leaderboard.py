"""Formats the leaderboard of a job, or its Pareto front."""

from __future__ import annotations

from collections.abc import Sequence

from mitorch_service.cli.views.pages.page import Column, Table
from mitorch_service.insights.search.leaderboard import ParetoFront, Standing, Unranked, parameter_names
from mitorch_service.models.search.job import Job

_TRIAL = (Column("trial"), Column("id"), Column("epochs", 1))


def leaderboard_table(job: Job, standings: Sequence[Standing]) -> Table:
    """One row per trial, best first."""
    names = parameter_names(standings)
    columns = (Column("rank", 1), *map(Column, job.search.objectives()), *_TRIAL, *_parameter_columns(names))
    return Table("leaderboard", columns, [[rank, *_row(one, names)] for rank, one in enumerate(standings, 1)])


def front_table(job: Job, front: ParetoFront, limit: int) -> Table:
    """One row per trial, at most `limit`, by the first objective, best first."""
    standings = front.standings(limit)
    names = parameter_names(standings)
    total = len(front.trials)
    title = f"Pareto front: {total} trial{'s' * (total != 1)}" + (f", {limit} of them" if total > limit else "")
    columns = (*map(Column, job.search.objectives()), *_TRIAL, *_parameter_columns(names))
    return Table(title, columns, [_row(one, names) for one in standings])


def unranked_table(trials: Sequence[Unranked]) -> Table:
    """One row per trial without a final value, the latest first, with the reason in its own words."""
    names = parameter_names(trials)
    columns = (
        Column("trial"),
        Column("id"),
        Column("status"),
        Column("epochs", 1),
        Column("best so far", 2),
        Column("reason", 3, wraps=True),
        *_parameter_columns(names),
    )
    rows = [
        [one.number, one.training_id[:8], one.status, one.epochs, one.best, one.reason, *_values(one, names)]
        for one in trials
    ]
    return Table("trials without a final value", columns, rows, most=5)


def _parameter_columns(names: Sequence[str]) -> list[Column]:
    return [Column(name, 4 + number, 10) for number, name in enumerate(names)]


def _row(standing: Standing, names: Sequence[str]) -> list[object]:
    return [*standing.values, standing.number, standing.training_id[:8], standing.epochs, *_values(standing, names)]


def _values(trial: Standing | Unranked, names: Sequence[str]) -> list[object]:
    return [trial.parameters.get(name) for name in names]
