"""One search as programs read it: from the API, or from the Python client."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from mitorch_service.insights.cost import accounts_of_job, cost_of_job
from mitorch_service.insights.details.values import Detail, Number, Time, masked
from mitorch_service.insights.search.jobs import read_jobs
from mitorch_service.insights.search.leaderboard import Standing, read_front, read_leaderboard
from mitorch_service.insights.waiting.remaining import job_remaining
from mitorch_service.models.config.script import masked_config
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ENDED_JOBS, JobStatus
from mitorch_service.stores.base import Store

MOST_LEADERS = 1000


class JobDetails(Detail):
    """A search."""

    kind: Literal["job"] = "job"
    id: str = Field(description="A GUID.")
    status: JobStatus = Field(description="Where it is in its life.")
    name: str | None = Field(description="Given by a person.")
    note: str | None = Field(description="Written by a person.")
    tags: list[str] = Field(description="Each KEY=VALUE.")
    priority: int = Field(description="Of its trials; lower starts first.")
    submitted_by: str | None = Field(description="A person's name.")
    dataset: str = Field(description="NAME:VERSION; - for a script without one.")
    created_at: Time = Field(description="When it was submitted.")
    ended_at: Time | None = Field(description="When it ended; null before.")
    algorithm: str = Field(description="How the parameters are drawn.")
    objectives: list[str] = Field(description="The names of what is optimised.")
    directions: list[str] = Field(description="minimize or maximize, for each objective.")
    max_trials: int = Field(description="That it may create.")
    counts: dict[str, int] = Field(description="Trials by status.")
    best_value: Number | None = Field(description="Of a search with one objective.")
    best_training: str | None = Field(description="The id of the best trial.")
    remaining_seconds: float | None = Field(description="Estimated, while it goes on.")
    node_hours: float | None = Field(description="Of all trials until now; null: too many to add up.")
    cost: float | None = Field(description="In the currency of the clusters' prices.")
    error: str | None = Field(description="Why it failed.")
    hint: str | None = Field(description="Something that a person should know.")
    artifacts: dict[str, str] = Field(description="Name and address of each file, credentials masked.")
    search: dict[str, Any] = Field(description="The section `search` of its file.")
    config: dict[str, Any] = Field(description="With its expressions, as it was submitted, credentials masked.")

    @property
    def has_ended(self) -> bool:
        """Whether it will not change any more by itself."""
        return self.status in ENDED_JOBS


class JobRow(Detail):
    """A search in a list."""

    id: str = Field(description="A GUID.")
    status: JobStatus = Field(description="Where it is in its life.")
    name: str | None = Field(description="Given by a person.")
    tags: list[str] = Field(description="Each KEY=VALUE.")
    priority: int = Field(description="Of its trials; lower starts first.")
    submitted_by: str | None = Field(description="A person's name.")
    dataset: str = Field(description="NAME:VERSION; - for a script without one.")
    created_at: Time = Field(description="When it was submitted.")
    max_trials: int = Field(description="That it may create.")
    counts: dict[str, int] = Field(description="Trials by status, as the last pass has seen them.")
    best_value: Number | None = Field(description="Of a search with one objective, as the last pass has seen it.")


class Leader(Detail):
    """A trial of a leaderboard."""

    rank: int = Field(description="From 1; of a Pareto front its place in the first objective.")
    id: str = Field(description="Of its training.")
    trial: int = Field(description="Its number, from 0.")
    values: list[Number] = Field(description="Of each objective.")
    epochs: int | None = Field(description="That it ran; null if it was deleted.")
    parameters: dict[str, Any] = Field(description="What the search drew for it.")


class LeaderboardDetails(Detail):
    """The best trials of a search, best first; of several objectives its Pareto front."""

    job: str = Field(description="The search's id.")
    objectives: list[str] = Field(description="The names of the values.")
    directions: list[str] = Field(description="minimize or maximize, for each objective.")
    trials: list[Leader] = Field(description="At most `limit`.")


def job_details(store: Store, job_id: str, now: datetime) -> JobDetails:
    """Reads a search, without the analysis of its parameters. Raises NotFound, BrokenDocument."""
    job = store.jobs.get_job(job_id)
    counts = store.trainings.count_trainings(job_id)
    accounts = accounts_of_job(store, job.id, job.arrival, sum(counts.values()))
    cost = cost_of_job(accounts, None, now)
    remaining = job_remaining(job, counts, accounts, now)
    leaders = _standings(store, job, 1) if len(job.search.objectives()) == 1 else []
    fields = {
        **job.model_dump(include={"id", "status", "name", "tags", "priority", "submitted_by", "created_at", "error"}),
        "note": job.user_note,
        "dataset": str(job.dataset),
        "ended_at": job.status_times.get(job.status) if job.status in ENDED_JOBS else None,
        "algorithm": job.search.algorithm,
        **_goal(job),
        "max_trials": job.search.max_trials,
        "counts": counts,
        "best_value": leaders[0].values[0] if leaders else job.best.value if job.best else None,
        "best_training": leaders[0].training_id if leaders else job.best.training_id if job.best else None,
        "remaining_seconds": round(remaining.total_seconds()) if remaining else None,
        "node_hours": cost.node_hours if cost else None,
        "cost": cost.cost if cost else None,
        "hint": job.note,
        "artifacts": job.artifacts,
        "search": job.search.model_dump(mode="json"),
        "config": masked_config(job.config),
    }
    return JobDetails.model_validate(masked(fields))


def job_rows(store: Store, limit: int, name: str | None) -> list[JobRow]:
    """Reads the first searches, all or those with this name: active ones by priority, then the newest."""
    return [_row(job) for job in read_jobs(store, limit, name).items]


def leaderboard_details(store: Store, job_id: str, limit: int) -> LeaderboardDetails:
    """Reads the best trials. Raises NotFound, BrokenDocument."""
    job = store.jobs.get_job(job_id)
    trials = [
        Leader(
            rank=rank,
            id=one.training_id,
            trial=one.number,
            values=one.values,
            epochs=one.epochs,
            parameters=masked(one.parameters),
        )
        for rank, one in enumerate(_standings(store, job, limit), 1)
    ]
    return LeaderboardDetails(job=job.id, **_goal(job), trials=trials)


def _row(job: Job) -> JobRow:
    fields = {
        **job.model_dump(include=set(JobRow.model_fields) - {"dataset", "max_trials", "best_value"}),
        "dataset": str(job.dataset),
        "max_trials": job.search.max_trials,
        "best_value": job.best.value if job.best else None,
    }
    return JobRow.model_validate(masked(fields))


def _standings(store: Store, job: Job, limit: int) -> list[Standing]:
    if len(job.search.objectives()) > 1:
        return read_front(store, job, limit).standings(limit)
    return read_leaderboard(store, job, limit)


def _goal(job: Job) -> dict[str, list[str]]:
    return {"objectives": list(job.search.objectives()), "directions": list(job.search.directions())}
