"""Reading one training, search or data set."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.insights.details.dataset_details import DatasetDetails, dataset_details, dataset_list
from mitorch_service.insights.details.job_details import (
    MOST_LEADERS,
    JobDetails,
    LeaderboardDetails,
    job_details,
    leaderboard_details,
)
from mitorch_service.insights.details.training_details import (
    CurveDetails,
    TrainingDetails,
    curve_details,
    training_details,
)
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.viewer.api.parameters import Id, resolve
from mitorch_service.viewer.api.routing import api_router
from mitorch_service.viewer.context import Given

trainings = api_router("trainings")
jobs = api_router("jobs")
datasets = api_router("datasets")
MOST_EPOCHS = 10_000


@trainings.get("/trainings/{id}", summary="One training")
def get_training(context: Given, id: Id) -> TrainingDetails:
    """As `miquery ID --json`, without the curve."""
    with context.reading() as store:
        return training_details(store, resolve(store, "training", id).id, context.clock())


@trainings.get("/trainings/{id}/curve", summary="The recorded epochs of a training")
def get_curve(
    context: Given,
    id: Id,
    after: Annotated[int, Query(ge=0, le=10**9, description="Only epochs behind this one.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_EPOCHS, description="Epochs of this answer.")] = MOST_EPOCHS,
) -> CurveDetails:
    """Every value as it was recorded. For pictures of many curves there is `/api/curves`."""
    with context.reading() as store:
        return curve_details(store, resolve(store, "training", id).id, after, limit)


@jobs.get("/jobs/{id}", summary="One search")
def get_job(context: Given, id: Id) -> JobDetails:
    """Its goal, the number of its trials by status, the best one."""
    with context.reading() as store:
        return job_details(store, resolve(store, "job", id).id, context.clock())


@jobs.get("/jobs/{id}/leaderboard", summary="The best trials of a search")
def get_leaderboard(
    context: Given, id: Id, limit: Annotated[int, Query(ge=1, le=MOST_LEADERS, description="Trials.")] = 20
) -> LeaderboardDetails:
    """Of several objectives the Pareto front."""
    with context.reading() as store:
        return leaderboard_details(store, resolve(store, "job", id).id, limit)


@datasets.get("/datasets", summary="All versions of all data sets")
def list_datasets(context: Given) -> list[DatasetDetails]:
    """By name, the newest version first, without classes."""
    with context.reading() as store:
        return dataset_list(store)


@datasets.get("/datasets/{name}", summary="One version of a data set")
def get_dataset(context: Given, name: Annotated[str, Id.__metadata__[0]]) -> DatasetDetails:
    """`NAME`: the newest version, or `NAME:VERSION`."""
    try:
        ref = DatasetRef.parse(name)
    except ValueError as error:
        raise InvalidInput("name", [Problem(name, str(error))]) from error
    with context.reading() as store:
        return dataset_details(store, ref)
