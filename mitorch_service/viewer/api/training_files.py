"""The log and the files of a training."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import Path as PathParameter
from fastapi import Query
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, PlainTextResponse

from mitorch_service.insights.training.run_log import read_log
from mitorch_service.insights.training.training_files import fetch
from mitorch_service.viewer.access.headers import FILE_HEADERS
from mitorch_service.viewer.api.parameters import Id, resolve
from mitorch_service.viewer.api.routing import api_router
from mitorch_service.viewer.context import Given
from mitorch_service.wording.control_characters import several_lines

router = api_router("trainings")
# Only these are shown in a page, and only where their first bytes say the same; anything else is a download.
_PICTURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
_MOST_LINES = 100_000


@router.get("/trainings/{id}/log", summary="The log of an attempt", response_class=PlainTextResponse)
def get_log(
    context: Given,
    id: Id,
    attempt: Annotated[int | None, Query(ge=1, le=1000, description="Its number. [default: the last one]")] = None,
    lines: Annotated[int | None, Query(ge=1, le=_MOST_LINES, description="From its end. [default: 64 KB]")] = None,
    raw: Annotated[bool, Query(description="Control characters, such as those of colours, as they are.")] = False,
) -> PlainTextResponse:
    """As `micontrol logs` prints it: the end of it, credentials masked, control characters as `\\x1b`."""
    with context.reading() as store:
        whole = resolve(store, "training", id).id
    text = read_log(context.store, context.backends, whole, attempt, lines)
    shown = text if raw else several_lines(text)  # whoever calls it from a terminal prints what comes
    return PlainTextResponse(shown, headers={"content-disposition": f'inline; filename="{whole[:8]}.log"'})


@router.get("/trainings/{id}/files/{name:path}", summary="A stored file", response_class=FileResponse)
def get_file(
    context: Given, id: Id, name: Annotated[str, PathParameter(description="Of one of its files.")]
) -> FileResponse:
    """A file of the artifact store: pictures to be shown, everything else as a download. Names are those of the
    training's own files; no other is looked for."""
    with context.reading() as store:
        whole = resolve(store, "training", id).id
    folder = tempfile.TemporaryDirectory(prefix="mitorch-viewer-")
    try:
        path = Path(folder.name, "file")
        fetch(context.artifacts, whole, name, path)
        with path.open("rb") as file:
            head = file.read(8)
    except BaseException:
        folder.cleanup()
        raise
    media = next((kind for first, kind in _PICTURES.items() if head.startswith(first)), None)
    headers = dict(FILE_HEADERS)
    if media is not None:
        headers["content-disposition"] = "inline"
    else:
        headers["content-disposition"] = f'attachment; filename="{_ascii(name)}"'
    task = BackgroundTask(folder.cleanup)
    return FileResponse(path, headers=headers, media_type=media or "application/octet-stream", background=task)


def _ascii(name: str) -> str:
    """The last part of a name, of characters that every browser and file system takes."""
    last = name.rpartition("/")[2]
    return "".join(one if (one.isalnum() and one.isascii()) or one in "._-" else "_" for one in last) or "file"
