"""Names of columns, suggestions and saved views, which tables of trainings need beside their rows."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from mitorch_service.insights.tables.known_columns import MAX_COLUMNS, known_columns
from mitorch_service.insights.tables.suggestions import suggest
from mitorch_service.insights.tables.views import parse_query, save_view
from mitorch_service.models.saved_view import SavedView
from mitorch_service.viewer.api.parameters import Text
from mitorch_service.viewer.api.routing import api_router
from mitorch_service.viewer.context import Given

router = api_router("tables")


class ColumnAnswer(BaseModel):
    """A column that a table may have."""

    name: str = Field(description="Whole, such as `config.lr_scheduler.base_lr`.")
    kind: str = Field(description="id, status, job, dataset, tag, text, words, number, time or any.")
    rows: int = Field(description="How many of the trainings that were looked at have a value there.")


class ColumnsAnswer(BaseModel):
    """The columns of the newest trainings."""

    columns: list[ColumnAnswer] = Field(description="First those of every training, then the most frequent.")
    total: int = Field(description="With those that are not listed.")
    sampled: int = Field(description="Trainings that were looked at.")


class SuggestionAnswer(BaseModel):
    """A text that may stand in the place of what is written."""

    text: str = Field(description="As it stands in a filter.")
    detail: str = Field(description="A remark; may be empty.")


class SuggestionsAnswer(BaseModel):
    """How a filter may go on."""

    start: int = Field(description="The position in the filter from which on a suggestion stands.")
    end: int = Field(description="The position at which it ends.")
    suggestions: list[SuggestionAnswer] = Field(description="The most likely first.")


class ViewBody(BaseModel):
    """A view to save."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Text, Field(max_length=200)] = Field(description="Of the view; one with this name is replaced.")
    where: Annotated[Text, Field(max_length=4000)] | None = Field(None, description="A filter.")
    sort: Annotated[Text, Field(max_length=300)] | None = Field(None, description="FIELD, or -FIELD.")
    columns: Annotated[Text, Field(max_length=8000)] | None = Field(None, description="Names with commas between.")
    group_by: Annotated[Text, Field(max_length=300)] | None = Field(None, description="A field.")
    value: Annotated[Text, Field(max_length=300)] | None = Field(None, description="A number that groups show.")


class ViewAnswer(BaseModel):
    """A saved view."""

    name: str = Field(description="Its name.")
    where: str | None = Field(description="The filter.")
    sort: str | None = Field(description="The order.")
    columns: str | None = Field(description="Names of columns with commas between.")
    group_by: str | None = Field(description="The field of the groups.")
    value: str | None = Field(description="The number that the groups show.")


@router.get("/columns", summary="Columns that a table may have")
def list_columns(
    context: Given,
    part: Annotated[Text, Query(max_length=300, description="Of their names.")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_COLUMNS, description="Columns of this answer.")] = 100,
) -> ColumnsAnswer:
    """The columns of the newest trainings: fields, config, metrics, parameters, tags."""
    with context.reading() as store:
        found = known_columns(store, part=part, limit=limit)
    columns = [ColumnAnswer(name=one.name, kind=one.kind.value, rows=one.rows) for one in found.columns]
    return ColumnsAnswer(columns=columns, total=found.total, sampled=found.sampled)


@router.get("/suggest", summary="How a filter may go on")
def suggest_words(
    context: Given,
    where: Annotated[Text, Query(max_length=4000, description="The filter as far as it is written.")] = "",
    position: Annotated[int | None, Query(ge=0, le=4000, description="Of the cursor; the end without.")] = None,
) -> SuggestionsAnswer:
    """Fields for a word without a colon, else values of the field."""
    with context.reading() as store:
        found = suggest(store, where, len(where) if position is None else position, context.clock())
    items = [SuggestionAnswer(text=one.text, detail=one.detail) for one in found.items]
    return SuggestionsAnswer(start=found.start, end=found.end, suggestions=items)


@router.get("/views", summary="Saved views")
def list_views(context: Given) -> list[ViewAnswer]:
    """All of them, ordered by name."""
    with context.reading() as store:
        return [_answer(view) for view in store.views.list_views().items]


@router.put("/views", summary="Save a view")
def put_view(context: Given, body: ViewBody) -> ViewAnswer:
    """As `miquery --save-view`: refused if the view would not work."""
    store = context.store
    store.prepare()
    fields = body.model_dump(exclude={"name"})
    return _answer(save_view(store, body.name, fields, context.settings.user, context.clock()))


@router.delete("/views", summary="Remove a view")
def remove_view(
    context: Given, name: Annotated[Text, Query(max_length=200, description="The name of the view.")]
) -> None:
    """As `miquery --remove-view`."""
    context.store.views.remove_view(name)


def _answer(view: SavedView) -> ViewAnswer:
    query = parse_query(view.query)
    return ViewAnswer(
        name=view.id, **{key: query.get(key) for key in ("where", "sort", "columns", "group_by", "value")}
    )
