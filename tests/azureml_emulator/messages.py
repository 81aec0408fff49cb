"""Requests and responses as values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """One HTTP request, read whole. Header names are in lower case; the path is still quoted."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body; an empty one is an empty document."""
        return json.loads(self.body) if self.body else {}


@dataclass
class Response:
    """One HTTP response."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """A request that the service answers with an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Dropped(Exception):
    """The connection is to be cut without an answer."""


def reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response with a JSON body."""
    return Response(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


def refuse(refusal: Refusal) -> Response:
    """The error as Azure words it: for blobs the code is in a header, because nobody reads the XML."""
    error = error_document(refusal.code, refusal.message)
    return reply(error, refusal.status, {"x-ms-error-code": refusal.code})


def error_document(code: str, message: str) -> dict[str, Any]:
    """An error. Without `details` the SDK's ServiceException cannot be printed."""
    error = {"code": code, "message": message, "messageFormat": "{Message}", "messageParameters": {}, "details": []}
    return {"error": error, "environment": "emulator", "location": "emulator", "componentName": "emulator"}
