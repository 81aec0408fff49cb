"""The page of a training's stored code: its files, one of them as text, what differs from another training's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.errors import MiTorchError
from mitorch_service.insights.lookup import NOT_THERE, look_up_training
from mitorch_service.insights.training.code_changes import FileChange, code_changes
from mitorch_service.insights.training.code_snapshot import CodeFile, CodeText, list_code, read_code_file
from mitorch_service.insights.training.earlier import Earlier, compared, read_earlier
from mitorch_service.models.config.script import CodeRecord, code_of
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.viewer.api.parameters import Text
from mitorch_service.viewer.context import Given
from mitorch_service.viewer.pages.templates import render

router = APIRouter(include_in_schema=False)
_LISTED = 1000


@dataclass
class Shown:
    """One of the three views, or why there is none."""

    files: Sequence[CodeFile] = ()
    file: CodeText | None = None
    changes: Sequence[FileChange] | None = None
    problems: list[str] = field(default_factory=list)


@router.get("/trainings/{id}/code")
def show(
    request: Request,
    context: Given,
    id: str,
    file: Annotated[Text, Query(max_length=4000)] = "",
    other: Annotated[Text, Query(alias="with", max_length=300)] = "",
) -> Response:
    """The files; with `file` one of them, with `with` the differences from the code of another training."""
    shared = getattr(request.state, "shared", False)
    shown, against = Shown(), None
    with context.reading() as store:
        kind, whole = store.trainings.resolve_id(id)
        if kind == "job" or whole != id:
            return RedirectResponse(f"/{kind}s/{whole}" + "/code" * (kind == "training"), 303)
        training = store.trainings.get_training(whole)
        earlier = [] if shared else [one for one in read_earlier(store, training) if code_of(one.training.config)]
        if other:
            against = _other(store, training, other, shown)
    code = code_of(training.config)
    if code is None:
        shown.problems.append("No code is stored with this training: only scripts with a `source` have some.")
    else:
        _read(context.artifacts, code, file, against, shown)
    name = training.name or training.id[:8]
    return render(
        request,
        "code.html",
        title=f"{file or 'Code'} · {name}",
        training=training,
        name=name,
        stored=code,
        earlier=earlier,
        against=against,
        wanted=other,
        shown=shown,
        listed=_LISTED,
    )


def _other(store: Store, training: Training, key: str, shown: Shown) -> Earlier | None:
    try:
        found = compared(training, store.trainings.get_training(look_up_training(store, key)))
    except NOT_THERE as error:
        shown.problems.append(str(error))
        return None
    if code_of(found.training.config) is None:
        shown.problems.append(f"No code is stored with {found.label}.")
    return found


def _read(artifacts: ArtifactStore, code: CodeRecord, file: str, against: Earlier | None, shown: Shown) -> None:
    """An archive that is gone must not take the page away: commit, packages and patch are in the config."""
    before = None if against is None else code_of(against.training.config)
    try:
        if file:
            shown.file = read_code_file(artifacts, code, file)
        elif before is not None:
            shown.changes = code_changes(artifacts, before, code)
        elif against is None:
            shown.files = list_code(artifacts, code)
    except MiTorchError as error:
        shown.problems.append(str(error))
