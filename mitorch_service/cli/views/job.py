"""What miquery shows of one job."""

from __future__ import annotations

from typing import Any

from mitorch_service.cli.views.base import View
from mitorch_service.cli.views.costs import accounts_of_job, cost_fields, cost_json, cost_of_job
from mitorch_service.cli.views.final_training import FinalTraining
from mitorch_service.cli.views.output import show_fields, show_table, stream_json
from mitorch_service.cli.views.pareto_front import front_json, show_front
from mitorch_service.cli.views.paused_trials import counts_text, rung_fields
from mitorch_service.cli.views.script import script_fields
from mitorch_service.models.job import Job
from mitorch_service.models.script import shown
from mitorch_service.models.status import ENDED_JOBS
from mitorch_service.models.training import TrainingRow
from mitorch_service.reports.search_insight import SearchInsight
from mitorch_service.stores.base import Store


class JobView(View):
    """One job: how far it is, the best trial, the leaderboard."""

    def __init__(self, store: Store, id: str, limit: int) -> None:
        self._store, self._id, self._limit = store, id, limit

    def show(self) -> bool:
        job = self._store.jobs.get_job(self._id)
        counts = self._store.trainings.count_trainings(self._id)
        several, final = len(job.search.objectives()) > 1, FinalTraining(self._store, job)
        accounts = accounts_of_job(self._store, job.id, job.arrival, sum(counts.values()))
        show_fields(
            [
                ("job", job.id),
                ("name", job.name),
                ("tags", job.tags),
                ("status", job.status),
                ("priority", job.priority),
                ("dataset", job.dataset),
                *script_fields(job.config),
                ("search", f"{job.search.algorithm}, {job.search.goal()}"),
                ("trials", f"{sum(counts.values())} of {job.search.max_trials}: {counts_text(counts)}"),
                *rung_fields(self._store, job),
                *([] if several else self._best_fields(job)),
                *final.fields(),
                ("budget", job.search.max_cost),
                *cost_fields(cost_of_job(accounts, final.training)),
                ("created", job.created_at),
                ("error", job.error),
                ("note", job.note),
                *((f"artifact {name}", address) for name, address in job.artifacts.items()),
                *SearchInsight(self._store, job, accounts).fields(),
            ]
        )
        if several:
            show_front(self._store, job, self._limit)
        else:
            self._show_leaders(job)
        return job.status in ENDED_JOBS

    def show_json(self) -> None:
        job = self._store.jobs.get_job(self._id)
        counts = self._store.trainings.count_trainings(self._id)
        accounts = accounts_of_job(self._store, job.id, job.arrival, sum(counts.values()))
        insight, final = SearchInsight(self._store, job, accounts), FinalTraining(self._store, job)
        importance: dict[str, Any]
        if len(job.search.objectives()) > 1:
            importance, board = insight.importances(), front_json(self._store, job, self._limit)
        else:
            leaders = self._store.jobs.iterate_best_trials(job.id, job.search.resolved_direction(), self._limit)
            importance, board = insight.importance(), {"leaderboard": (row.to_document() for row in leaders)}
        found = {"importance": importance, "seen": insight.seen(), "effort": insight.effort.json()}
        cost = cost_json(cost_of_job(accounts, final.training))
        document = {**job.to_document(), "config": shown(job.config), **found, "final_training": final.json()}
        stream_json({**document, "counts": counts, **cost, **board}.items())

    def _best_fields(self, job: Job) -> list[tuple[str, Any]]:
        best = self._leaders(1)
        return [
            ("best", best[0].trial.value if best and best[0].trial else job.best and job.best.value),
            ("best trial", best[0].id if best else job.best and job.best.training_id),
        ]

    def _show_leaders(self, job: Job) -> None:
        leaders = self._leaders(self._limit)
        names = list(dict.fromkeys(n for row in leaders if row.trial for n in row.trial.parameters))
        columns = ("rank", *job.search.objectives(), "trial", "id", "epochs", *names)
        show_table("leaderboard", columns, [_leader_row(i, row, names) for i, row in enumerate(leaders, 1)])

    def _leaders(self, limit: int) -> list[TrainingRow]:
        direction = self._store.jobs.get_job(self._id).search.resolved_direction()
        return self._store.jobs.best_trials(self._id, direction, limit).items


def _leader_row(rank: int, row: TrainingRow, names: list[str]) -> list[Any]:
    trial = row.trial
    assert trial is not None  # the query asks for rows with a trial value
    epochs = row.progress.epoch if row.progress else 0
    return [
        rank,
        trial.value,
        trial.number,
        row.id[:8],
        epochs,
        *(trial.parameters.get(name) for name in names),
    ]
