"""Filters, orders, columns, page tokens and saved views; addresses of the viewer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from starlette.testclient import TestClient

from mitorch_service.insights.tables.grouping import check_grouping
from mitorch_service.insights.tables.opening import TableRequest, open_table
from mitorch_service.insights.tables.table import read_table
from mitorch_service.insights.tables.tokens import read_token
from mitorch_service.insights.tables.views import parse_query, save_view
from mitorch_service.insights.where.grammar import parse_where
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.viewer.access.sharing import read_share
from tests.demo_service import fill
from tests.fuzzing.target import Target
from tests.samples import NOW
from tests.served import ADDRESS, served

_open = ExitStack()  # until the process ends


@cache
def _store() -> Store:
    store = SqliteStore(None)
    fill(store, NOW, 12, 3)
    return store


@cache
def _viewer() -> TestClient:
    folder = _open.enter_context(tempfile.TemporaryDirectory(prefix="mitorch-fuzz-"))
    return _open.enter_context(served(Path(folder), 12, 3)).client(raise_server_exceptions=True, follow_redirects=False)


def _filter(content: bytes, folder: Path) -> None:
    read_table(_store(), TableRequest(_text(content)), NOW)


def _columns(content: bytes, folder: Path) -> None:
    """Its lines: columns, order, group and value."""
    columns, sort, group, value, *_ = [*_text(content).split("\n"), "", "", ""]
    open_table(_store(), TableRequest("", sort or None, columns or None), NOW)
    if group:
        check_grouping(_store(), group, value or None)


def _token(content: bytes, folder: Path) -> None:
    table = open_table(_store(), TableRequest(), NOW)
    read_token(_text(content), parse_where(""), table.sort)


def _view(content: bytes, folder: Path) -> None:
    name, _, query = _text(content).partition("?")
    save_view(_store(), name, parse_query(query), "ada", NOW)


def _url(begins: str) -> Callable[[bytes, Path], None]:
    """Asks the viewer: no error of its own, and no answer but pages, redirects and refusals."""

    def parse(content: bytes, folder: Path) -> None:
        text = "".join(f"%{code:02x}" if code <= 32 or code > 126 or code == 35 else chr(code) for code in content)
        answer = _viewer().get(f"{ADDRESS}{begins}{text}")
        assert answer.status_code < 500, (answer.status_code, answer.text[:500])

    return parse


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


_WHERE = (
    b"status:failed val_loss<0.5 tag:team=vision",
    b"name:*x* -job:abc since:7d or (config.batch_size>=4)",
    b'"quoted text" metric.accuracy>0.9 param.lr:1e-3 created>2026-01-01',
)
_FIELDS = (b"status:", b"val_loss", b"config.", b"tag:", b"metric.", b"param.", b" or ", b"not ", b">=", b"since:")
TARGETS = (
    Target("filter", _filter, _WHERE, _FIELDS),
    Target(
        "columns",
        _columns,
        (b"status,name,config.model.name\n-val_loss\ntag.team\nval_loss", b'"a,b",id\nname'),
        _FIELDS,
    ),
    Target("page-token", _token, (b"WzEsIngiLDAsW1swXSwxLCJhIl0sbnVsbF0",)),
    Target(
        "saved-view", _view, (b"mine?where=status%3Afailed&sort=-val_loss&columns=name&group_by=status&value=val_loss",)
    ),
    Target("share", lambda content, _: read_share(_text(content), "secret", NOW), (b"1764417600.abc",)),
    Target(
        "viewer-path",
        _url("/"),
        (
            b"trainings?where=status%3Afailed",
            b"jobs/1/search",
            b"compare?id=1&id=2",
            b"datasets/digits:1",
            b"code/1",
            b"find?q=x",
        ),
    ),
    Target(
        "viewer-query", _url("/trainings?"), (b"where=a&sort=-val_loss&columns=name&limit=5&after=x&group_by=status",)
    ),
    Target(
        "viewer-api",
        _url("/api/"),
        (b"trainings?where=x&limit=1", b"jobs?limit=0", b"trainings/1/curve?metrics=x", b"table?columns=a"),
    ),
)
