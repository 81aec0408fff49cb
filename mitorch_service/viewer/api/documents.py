"""Reading one training, search or data set."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.insights.details.dataset_details import DatasetDetails, dataset_details, dataset_list
from mitorch_service.insights.details.job_details import (
    MOST_LEADERS,
    JobDetails,
    JobRow,
    LeaderboardDetails,
    job_details,
    job_rows,
    leaderboard_details,
)
from mitorch_service.insights.details.table_details import TableDetails, table_details
from mitorch_service.insights.details.training_details import (
    CurveDetails,
    TrainingDetails,
    curve_details,
    training_details,
)
from mitorch_service.insights.lookup import look_up_one
from mitorch_service.insights.tables.opening import TableRequest
from mitorch_service.insights.tables.table import MAX_ROWS
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.stores.verbs.trainings import Kind
from mitorch_service.viewer.api.parameters import Id, Text, resolve
from mitorch_service.viewer.api.routing import api_router
from mitorch_service.viewer.context import Given


class FoundAnswer(BaseModel):
    """A training or a search."""

    kind: Kind = Field(description="training, or job for a search.")
    id: str = Field(description="The whole id.")


trainings = api_router("trainings")
jobs = api_router("jobs")
datasets = api_router("datasets")
MOST_EPOCHS = 10_000


@trainings.get("/find", summary="What a person names")
def find(
    context: Given, key: Annotated[str, Query(max_length=300, description="An id, its beginning, or a whole name.")]
) -> FoundAnswer:
    """The one training or search with this id or name. Several with one name are an error that lists their ids."""
    with context.reading() as store:
        kind, id = look_up_one(store, key)
    return FoundAnswer(kind=kind, id=id)


@trainings.get("/trainings", summary="A page of a table of trainings")
def list_trainings(
    context: Given,
    where: Annotated[Text, Query(max_length=4000, description="A filter, as in `miquery --where`.")] = "",
    sort: Annotated[Text | None, Query(max_length=300, description="FIELD, or -FIELD; newest first without.")] = None,
    columns: Annotated[Text | None, Query(max_length=8000, description="Names with commas between.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_ROWS, description="Rows of the page.")] = 50,
    after: Annotated[Text | None, Query(max_length=8000, description="`next` or `previous` of another page.")] = None,
) -> TableDetails:
    """Pages by keys, never by offset: rows that come meanwhile neither repeat nor hide any. A page stops at its time
    limit with what it has, and says so."""
    with context.reading() as store:
        return table_details(store, TableRequest(where, sort, columns, limit, after), context.clock())


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


@jobs.get("/jobs", summary="The first searches")
def list_jobs(
    context: Given,
    name: Annotated[Text | None, Query(max_length=300, description="Only those with this name.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_ROWS, description="Searches.")] = 50,
) -> list[JobRow]:
    """As `miquery --jobs`: active ones by priority, then the newest."""
    with context.reading() as store:
        return job_rows(store, limit, name)


@jobs.get("/jobs/{id}", summary="One search")
def get_job(context: Given, id: Id) -> JobDetails:
    """Its goal, the number of its trials by status, the best one."""
    with context.reading() as store:
        return job_details(store, resolve(store, "job", id).id, context.clock())


@jobs.get("/jobs/{id}/leaderboard", summary="The best trials of a search")
def get_leaderboard(
    context: Given, id: Id, limit: Annotated[int, Query(ge=1, le=MOST_LEADERS, description="Trials.")] = 20
) -> LeaderboardDetails:
    """The Pareto front, if there are several objectives."""
    with context.reading() as store:
        return leaderboard_details(store, resolve(store, "job", id).id, limit)


@datasets.get("/datasets", summary="All versions of all data sets")
def list_datasets(context: Given) -> list[DatasetDetails]:
    """All of them by name, the newest version first, without classes."""
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
