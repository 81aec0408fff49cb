"""Routers of the API, which share their prefix, errors and security scheme."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer

from mitorch_service.viewer.api.responses import ERRORS, MaskedJSONResponse

# Only for the document of the API: the gate has checked token or cookie before a route is reached.
_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="The token that miviewer prints at its start. Browsers that have opened its link send a cookie.",
)


def api_router(topic: str) -> APIRouter:
    """A router below `/api` for one topic of the document."""
    return APIRouter(
        prefix="/api",
        tags=[topic],
        dependencies=[Depends(_BEARER)],
        responses=ERRORS,
        default_response_class=MaskedJSONResponse,
    )
