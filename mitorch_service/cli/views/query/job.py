"""Prints one job (`miquery JOB`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime

from mitorch_service.cli.views.pages.page import Block, Fields, Page
from mitorch_service.cli.views.query.base import View
from mitorch_service.cli.views.query.leaderboard import front_table, leaderboard_table, unranked_table
from mitorch_service.insights.cost import cost_json
from mitorch_service.insights.search.job import JobReport, read_job
from mitorch_service.insights.search.job_fields import final_json, importance_json, job_fields
from mitorch_service.insights.search.leaderboard import iterate_leaders, read_front, read_leaderboard, read_unranked
from mitorch_service.insights.search.search_fields import effort_json
from mitorch_service.models.config.script import masked_config
from mitorch_service.models.status import ENDED_JOBS
from mitorch_service.stores.base import Store


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
        blocks: list[Block] = [Fields(job_fields(report)), board]
        if self._all and (others := read_unranked(self._store, job, self._limit)):
            blocks.append(unranked_table(others))
        return Page(blocks, job.status in ENDED_JOBS)

    def has_ended(self) -> bool:
        return self._store.jobs.get_job(self._id).status in ENDED_JOBS

    def fields(self) -> Iterable[tuple[str, object]]:
        report = read_job(self._store, self._id, datetime.now(UTC))
        document = {**report.job.to_document(), "config": masked_config(report.job.config)}
        found = {"seen": report.warnings, "effort": effort_json(report.effort), "final_training": final_json(report)}
        fields = {**document, **importance_json(report), **found, "counts": report.counts, **cost_json(report.cost)}
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
