"""Prints one job (`miquery JOB`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime

from mitorch_service.cli.views.cost import cost_fields, cost_json
from mitorch_service.cli.views.pages.page import Block, Fields, Page, text
from mitorch_service.cli.views.query.base import View
from mitorch_service.cli.views.query.leaderboard import front_table, leaderboard_table, unranked_table
from mitorch_service.cli.views.query.paused_trials import counts_text
from mitorch_service.cli.views.query.search import effort_json, search_fields
from mitorch_service.insights.job import JobReport, read_job
from mitorch_service.insights.leaderboard import iterate_leaders, read_front, read_leaderboard, read_unranked
from mitorch_service.insights.script_fields import script_fields
from mitorch_service.models.config.script import masked_config
from mitorch_service.models.status import ENDED_JOBS
from mitorch_service.models.training import epochs_text
from mitorch_service.stores.base import Store
from mitorch_service.wording.elapsed import duration_text


class JobView(View):
    """One job: its progress, best trial and leaderboard."""

    def __init__(self, store: Store, id: str, limit: int, all_trials: bool = False) -> None:
        """`all_trials`: those without a final value, too."""
        self._store = store
        self._id = id
        self._limit = limit
        self._all = all_trials

    def read(self) -> Page:
        report = read_job(self._store, self._id, datetime.now(UTC))
        job = report.job
        if report.has_front:
            board = front_table(job, read_front(self._store, job, self._limit), self._limit)
        else:
            board = leaderboard_table(job, read_leaderboard(self._store, job, self._limit))
        blocks: list[Block] = [Fields(_job_fields(report)), board]
        if self._all and (others := read_unranked(self._store, job, self._limit)):
            blocks.append(unranked_table(others))
        return Page(blocks, job.status in ENDED_JOBS)

    def has_ended(self) -> bool:
        return self._store.jobs.get_job(self._id).status in ENDED_JOBS

    def fields(self) -> Iterable[tuple[str, object]]:
        report = read_job(self._store, self._id, datetime.now(UTC))
        document = {**report.job.to_document(), "config": masked_config(report.job.config)}
        found = {"seen": report.warnings, "effort": effort_json(report.effort), "final_training": _final_json(report)}
        fields = {**document, **_importance_json(report), **found, "counts": report.counts, **cost_json(report.cost)}
        remaining = report.remaining and round(report.remaining.total_seconds())
        return {
            **fields,
            "remaining_seconds": remaining,
            **self._board_json(report),
            **self._others_json(report),
        }.items()

    def _others_json(self, report: JobReport) -> dict[str, object]:
        if not self._all:
            return {}
        return {"unranked": (asdict(one) for one in read_unranked(self._store, report.job, self._limit))}

    def _board_json(self, report: JobReport) -> dict[str, object]:
        """The leaderboard as an iterator; or the whole front, with its trainings as the leaderboard."""
        if not report.has_front:
            leaders = iterate_leaders(self._store, report.job, self._limit)
            return {"leaderboard": (row.to_document() for row in leaders)}
        front = read_front(self._store, report.job, self._limit)
        return {
            "front": [trial.to_document() for trial in front.trials],
            "leaderboard": [row.to_document() for row in front.rows],
        }


def _job_fields(report: JobReport) -> list[tuple[str, object]]:
    job = report.job
    trials = sum(report.counts.values())
    return [
        ("job", job.id),
        ("name", job.name),
        ("status", job.status),
        ("trials", f"{trials} of {job.search.max_trials}: {counts_text(report.counts)}"),
        ("left", _left_text(report)),
        ("best", report.best and report.best.value),
        ("best trial", report.best and report.best.training_id),
        ("tags", job.tags),
        ("user note", job.user_note),
        ("submitted by", job.submitted_by),
        ("priority", job.priority),
        ("dataset", job.dataset),
        *script_fields(job.config),
        ("search", f"{job.search.algorithm}, {job.search.goal()}"),
        ("reached", ", ".join(f"epoch {epochs}: {n}" for epochs, n in report.reached.items() if n) or None),
        ("final training", _final_text(report)),
        ("budget", job.search.max_cost),
        *cost_fields(report.cost),
        ("created", job.created_at),
        ("error", job.error),
        ("note", job.note),
        *((f"artifact {name}", address) for name, address in job.artifacts.items()),
        *search_fields(report.effort, report.importance, report.warnings),
    ]


def _left_text(report: JobReport) -> str | None:
    remaining = duration_text(report.remaining)
    return remaining and f"about {remaining}"


def _final_text(report: JobReport) -> str | None:
    if report.job.search.refit is None:
        return None
    if report.final is None:
        return "follows the search"
    training = report.final.training
    if training is None:
        return str(report.final.status)
    objective = report.job.search.objectives()[0]
    done = epochs_text(training.progress.epoch if training.progress else 0, training.max_epochs)
    value = (training.evaluation or {}).get(objective)
    reached = "" if value is None else f", {objective}={text(value)}"
    return f"{training.id} {training.status}, epoch {done}{reached}"


def _final_json(report: JobReport) -> dict[str, object] | None:
    training = report.final.training if report.final is not None else None
    if training is None:
        return None
    return {"id": training.id, "status": training.status, "evaluation": training.evaluation}


def _importance_json(report: JobReport) -> dict[str, object]:
    """Shares by objective, if there are several; else by parameter alone."""
    first = report.importance[report.job.search.objectives()[0]]
    return {"importance": report.importance if report.has_front else first}
