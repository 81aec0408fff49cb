"""Answers errors in the words that the commands print: as a page, or as JSON below `/api`."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from mitorch_service.errors import (
    AlreadyExists,
    AmbiguousId,
    ArtifactError,
    InvalidInput,
    MiTorchError,
    NotAllowed,
    NotFound,
    QueryTimedOut,
    StoreUnavailable,
)
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.viewer.pages.templates import render

_LOG = logging.getLogger(__name__)
_CODES: tuple[tuple[type[MiTorchError], int], ...] = (
    (NotFound, 404),
    (ArtifactError, 404),
    (AmbiguousId, 400),
    (InvalidInput, 400),
    (NotAllowed, 409),
    (AlreadyExists, 409),
    (QueryTimedOut, 504),
    (StoreUnavailable, 503),
)
_BUG = "This is a bug of mitorch-service: the server's log has the traceback. Please report it."


def answer_errors(app: FastAPI) -> None:
    """Adds the handlers."""

    @app.exception_handler(MiTorchError)
    def _known(request: Request, error: MiTorchError) -> Response:
        code = next((code for kind, code in _CODES if isinstance(error, kind)), 500)
        return _answer(request, code, str(error))

    @app.exception_handler(RequestValidationError)
    def _wrong_form(request: Request, error: RequestValidationError) -> Response:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        return _answer(request, 422, "; ".join(problems))

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        there = f"There is no page {request.url.path}." if error.status_code == 404 else str(error.detail)
        return _answer(request, error.status_code, there, error.headers)

    @app.exception_handler(Exception)
    def _unknown(request: Request, error: Exception) -> Response:
        _LOG.error("%s %s", request.method, request.url.path, exc_info=error)
        return _answer(request, 500, f"{type(error).__name__}: {error}\n{_BUG}")


def _answer(request: Request, code: int, message: str, headers: object = None) -> Response:
    text = mask_secrets(message)
    kept = dict(headers) if isinstance(headers, dict) else None
    if request.url.path.startswith("/api"):
        return JSONResponse({"error": text}, code, kept)
    return render(request, "error.html", code, heading=str(code), message=text, title=str(code))
