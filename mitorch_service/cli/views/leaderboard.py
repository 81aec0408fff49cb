"""Prints the leaderboard of a job, or its Pareto front."""

from __future__ import annotations

from mitorch_service.cli.views.output import show_table
from mitorch_service.models.job import Job
from mitorch_service.reports.leaderboard import ParetoFront, Standing, parameter_names


def show_leaderboard(job: Job, standings: list[Standing]) -> None:
    """Prints one row per trial, best first."""
    names = parameter_names(standings)
    columns = ("rank", *job.search.objectives(), "trial", "id", "epochs", *names)
    show_table("leaderboard", columns, [[rank, *_row(one, names)] for rank, one in enumerate(standings, 1)])


def show_front(job: Job, front: ParetoFront, limit: int) -> None:
    """Prints one row per trial, at most `limit`, by the first objective, best first."""
    standings = front.standings(limit)
    names = parameter_names(standings)
    total = len(front.trials)
    title = f"Pareto front: {total} trial{'s' * (total != 1)}" + (f", {limit} of them" if total > limit else "")
    columns = (*job.search.objectives(), "trial", "id", "epochs", *names)
    show_table(title, columns, [_row(one, names) for one in standings])


def _row(standing: Standing, names: list[str]) -> list[object]:
    parameters = (standing.parameters.get(name) for name in names)
    return [*standing.values, standing.number, standing.training_id[:8], standing.epochs, *parameters]
