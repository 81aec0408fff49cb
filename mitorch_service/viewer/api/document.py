"""The OpenAPI document: what FastAPI derives from the routes, with what it cannot know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

_JSON = "application/json"


def document_of(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Returns the function that makes the document, once."""
    derive = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _correct(derive())
        return app.openapi_schema or {}

    return openapi


def _correct(document: dict[str, Any]) -> None:
    """Errors are JSON, whatever a route answers otherwise."""
    for path in document["paths"].values():
        for operation in path.values():
            for code, answer in operation["responses"].items():
                if code >= "400":
                    answer["content"] = {_JSON: next(iter(answer["content"].values()))}
