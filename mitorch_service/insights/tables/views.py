"""Saved views: the query of a table as the text of a URL's query, and under a name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl, urlencode

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.insights.tables.grouping import check_grouping
from mitorch_service.insights.tables.opening import TableRequest, open_table
from mitorch_service.models.labels import name_problems
from mitorch_service.models.saved_view import SavedView
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.views import MAX_VIEWS
from mitorch_service.wording.suggestion import did_you_mean

KEYS = ("where", "sort", "columns", "group_by", "value")  # of a view's query
_LONGEST = 16_000  # characters


def format_query(fields: Mapping[str, str | None]) -> str:
    """Writes the fields of a view as the query of a URL, in the order of KEYS, without those that are empty."""
    return urlencode([(key, value) for key in KEYS if (value := fields.get(key))])


def parse_query(query: str) -> dict[str, str]:
    """Reads the query of a URL. Raises InvalidInput for a key that is unknown or given twice."""
    if len(query) > _LONGEST:
        raise InvalidInput("view", [Problem(query[:20] + "…", f"has {len(query):,} characters; {_LONGEST:,} at most")])
    found: dict[str, str] = {}
    for key, value in parse_qsl(query.removeprefix("?"), keep_blank_values=True):
        if key not in KEYS:
            problem = f"is an unknown key; {did_you_mean(key, KEYS)}known: {', '.join(KEYS)}"
            raise InvalidInput("view", [Problem(key, problem)])
        if key in found:
            raise InvalidInput("view", [Problem(key, "is given twice")])
        found[key] = value
    return found


def save_view(store: Store, name: str, fields: Mapping[str, str | None], by: str | None, now: datetime) -> SavedView:
    """Saves a query under a name, in the place of one that had it. Raises InvalidInput for a name or a query that
    would not work; NotFound, AmbiguousId for a job in it."""
    problems = list(name_problems(name))
    if problems:
        raise InvalidInput("name of the view", problems)
    open_table(store, TableRequest(fields.get("where") or "", fields.get("sort"), fields.get("columns")), now)
    if group_by := fields.get("group_by"):
        check_grouping(store, group_by, fields.get("value"))
    saved = [view.id for view in store.views.list_views().items]
    if name not in saved and len(saved) >= MAX_VIEWS:
        raise InvalidInput("name of the view", [Problem(name, f"there are {MAX_VIEWS} views: remove one first")])
    view = SavedView(id=name, query=format_query(fields), saved_at=now, saved_by=by)
    store.views.save_view(view)
    return view
