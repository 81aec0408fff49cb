"""JSON as every route of the API answers it: credentials masked, numbers that are not finite as text, as in
`miquery --json`."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from mitorch_service.insights.details.values import plain
from mitorch_service.wording.control_characters import json_text

__all__ = ["ERRORS", "ErrorAnswer", "MaskedJSONResponse", "plain"]


class MaskedJSONResponse(JSONResponse):
    """The response class of all routes of the API."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(plain(content), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return json_text(text).encode("utf-8", "replace")  # whoever calls it from a terminal prints what comes


class ProblemAnswer(BaseModel):
    """A problem of what was sent."""

    path: str = Field(description="Its place in what was sent, such as `optimizer.momentum`; may be empty.")
    message: str = Field(description="The problem and the remedy.")


class ErrorAnswer(BaseModel):
    """An error in the words that the commands print."""

    error: str = Field(description="The fact, the value and the remedy.")
    kind: str | None = Field(None, description="The class of the error in `mitorch_service.errors`, if it is one.")
    problems: list[ProblemAnswer] | None = Field(None, description="Every problem of an invalid input.")


_WORDS = {
    400: "What was sent is invalid, or an id fits more than one; nothing was changed.",
    401: "The token is missing or wrong.",
    403: "The server is read-only, or the request comes from another site.",
    404: "There is no such training, job, data set or page.",
    409: "Its status does not allow it; nothing was changed.",
    413: "The body is longer than 1 MB.",
    422: "The request is not of the documented form; nothing was changed.",
    503: "The database cannot be reached now.",
    504: "The database took longer than the limit of a request.",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer, "description": words} for code, words in _WORDS.items()
}
