"""The search box of every page: leads to the training or search that is meant, or to the table of those that fit."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.responses import RedirectResponse

from mitorch_service.errors import AmbiguousId, NotFound
from mitorch_service.insights.lookup import look_up
from mitorch_service.stores.base import Store
from mitorch_service.viewer.context import Given

router = APIRouter(include_in_schema=False)
_FILTER = re.compile(r"\w[\w.]*:|^-|^/.*/$")  # a filter of tables: field:value, -not, /regex/


@router.get("/find")
def find(context: Given, q: Annotated[str, Query(max_length=2000)] = "") -> RedirectResponse:
    """Redirects to the page of what was typed."""
    with context.reading() as store:
        return RedirectResponse(_target(store, q.strip()), 303)


def _target(store: Store, text: str) -> str:
    if not text:
        return "/trainings"
    if not _FILTER.search(text):
        try:
            found = look_up(store, text)
        except (NotFound, AmbiguousId):
            return _table(text)
        if found.kind in ("training", "job"):
            return f"/{found.kind}s/{found.key}"
        if found.kind == "jobs":
            return f"/jobs?{urlencode({'q': text})}"
        return _table(f"name:{_quoted(text)}")
    return _table(text)


def _table(where: str) -> str:
    return f"/trainings?{urlencode({'q': where})}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
