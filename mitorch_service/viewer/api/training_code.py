"""The stored code of a training: its files, one of them, and what differs from another training's."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path as PathParameter
from fastapi import Query
from pydantic import BaseModel, Field
from starlette.responses import PlainTextResponse

from mitorch_service.errors import NotFound
from mitorch_service.insights.lookup import look_up_training
from mitorch_service.insights.training.code_changes import code_changes
from mitorch_service.insights.training.code_snapshot import list_code, read_code_file
from mitorch_service.models.config.script import CodeRecord, code_of
from mitorch_service.stores.base import Store
from mitorch_service.viewer.access.headers import FILE_HEADERS
from mitorch_service.viewer.api.parameters import Id, Text, resolve
from mitorch_service.viewer.api.routing import api_router
from mitorch_service.viewer.context import Given

router = api_router("trainings")


class CodeFileAnswer(BaseModel):
    """A file of the stored code."""

    name: str = Field(description="Its path.")
    size: int = Field(description="In bytes.")


class FileChangeAnswer(BaseModel):
    """A file that is not the same in both."""

    name: str = Field(description="Its path.")
    kind: Literal["added", "removed", "changed"] = Field(description="Since the other training.")
    lines: list[str] = Field(description="Of a unified diff, without its head.")
    remark: str = Field(description="Why there are no lines; else empty.")


@router.get("/trainings/{id}/code", summary="The files of the stored code")
def list_files(context: Given, id: Id) -> list[CodeFileAnswer]:
    """Lists the stored archive of a script that was submitted with its `source`, by name."""
    with context.reading() as store:
        code = _code(store, resolve(store, "training", id).id)
    return [CodeFileAnswer(name=one.name, size=one.size) for one in list_code(context.artifacts, code)]


@router.get("/trainings/{id}/code-changes", summary="What differs from the code of another training")
def list_changes(
    context: Given,
    id: Id,
    other: Annotated[Text, Query(alias="with", max_length=300, description="The other's id or name.")],
) -> list[FileChangeAnswer]:
    """File by file, as far as they are text and not too long."""
    with context.reading() as store:
        code = _code(store, resolve(store, "training", id).id)
        before = _code(store, look_up_training(store, other))
    return [FileChangeAnswer(**vars(one)) for one in code_changes(context.artifacts, before, code)]


@router.get("/trainings/{id}/code/{name:path}", summary="A file of the stored code", response_class=PlainTextResponse)
def get_file(
    context: Given, id: Id, name: Annotated[str, PathParameter(description="Its path, as listed.")]
) -> PlainTextResponse:
    """The file as text, credentials masked, at most its first 200 kB; 404 for one that is no text."""
    with context.reading() as store:
        code = _code(store, resolve(store, "training", id).id)
    file = read_code_file(context.artifacts, code, name)
    if file.text is None:
        raise NotFound("text of this code", name, "The file is no text.")
    return PlainTextResponse(file.text.encode("utf-8", "replace"), headers=FILE_HEADERS)


def _code(store: Store, training_id: str) -> CodeRecord:
    code = code_of(store.trainings.get_training(training_id).config)
    if code is None:
        raise NotFound("stored code of training", training_id, "Only scripts with a `source` have some.")
    return code
