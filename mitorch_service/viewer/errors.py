"""Answers errors in the words that the commands print: as a page, or as JSON below `/api`."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mitorch_service.errors import (
    AccessRefused,
    AlreadyExists,
    AmbiguousId,
    AmbiguousName,
    ArtifactError,
    InvalidInput,
    MiTorchError,
    NotAllowed,
    NotFound,
    QueryTimedOut,
    StoreUnavailable,
)
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.viewer.access.gate import is_api
from mitorch_service.viewer.api.responses import MaskedJSONResponse
from mitorch_service.viewer.pages.templates import render

_LOG = logging.getLogger(__name__)
_CODES: tuple[tuple[type[MiTorchError], int], ...] = (
    (NotFound, 404),
    (ArtifactError, 404),
    (AmbiguousId, 400),
    (AmbiguousName, 400),
    (InvalidInput, 400),
    (NotAllowed, 409),
    (AlreadyExists, 409),
    (QueryTimedOut, 504),
    (StoreUnavailable, 503),
    (AccessRefused, 503),
)
_MOST_PROBLEMS = 100
_BUG = "This is a bug of mitorch-service: the server's log has the traceback. Please report it."


def answer_errors(app: FastAPI) -> None:
    """Adds the handlers."""

    @app.exception_handler(MiTorchError)
    def _known(request: Request, error: MiTorchError) -> Response:
        code = next((code for kind, code in _CODES if isinstance(error, kind)), 500)
        return _answer(request, code, str(error), error=error)

    @app.exception_handler(RequestValidationError)
    def _wrong_form(request: Request, error: RequestValidationError) -> Response:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        return _answer(request, 422, "; ".join(problems))

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        there = f"There is no page {request.scope['path']}." if error.status_code == 404 else str(error.detail)
        return _answer(request, error.status_code, there, error.headers)

    @app.exception_handler(Exception)
    def _unknown(request: Request, error: Exception) -> Response:
        _LOG.error("%s %r: %s", request.method, request.scope["path"], type(error).__name__)  # the server: all of it
        return _answer(request, 500, f"{type(error).__name__}: {error}\n{_BUG}")


def _answer(
    request: Request, code: int, message: str, headers: object = None, error: MiTorchError | None = None
) -> Response:
    text = mask_secrets(message)
    kept = dict(headers) if isinstance(headers, dict) else None
    if is_api(request):
        return MaskedJSONResponse(_json(text, error), code, kept)
    return render(request, "error.html", code, heading=str(code), message=text, title=str(code))


def _json(text: str, error: MiTorchError | None) -> dict[str, object]:
    answer: dict[str, object] = {"error": text}
    if error is not None:
        answer["kind"] = type(error).__name__
    if isinstance(error, InvalidInput):
        answer["problems"] = [{"path": one.path, "message": one.message} for one in error.problems[:_MOST_PROBLEMS]]
    return answer
