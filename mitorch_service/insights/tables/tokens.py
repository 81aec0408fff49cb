"""Tokens of pages: opaque, fit for a URL; they say the order, the last key and which filter they belong to."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.insights.tables.sorting import Key, Rank, Sort
from mitorch_service.insights.where.grammar import format_where
from mitorch_service.insights.where.terms import Where

_VERSION = 1
_LONGEST = 4000
_REMEDY = "begin with the first page, without a token"


@dataclass(frozen=True)
class Position:
    """The place in a table from which a page is read: forward from behind a key, or backward from before it."""

    key: Key
    backward: bool = False
    bound: Key | None = None  # of a sort without an index: what was looked at ended there, in the order of arrival


def write_token(position: Position, where: Where, sort: Sort) -> str:
    """Returns the token of a position in the table of a filter and an order."""
    parts = [_VERSION, _mark(where, sort), int(position.backward), position.key, position.bound]
    text = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_token(token: str, where: Where, sort: Sort) -> Position:
    """Reads a token. Raises InvalidInput for what is none, and for that of another table."""
    try:
        if len(token) > _LONGEST:
            raise ValueError(token)
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        version, mark, backward, key, bound = json.loads(text)
        position = Position(_key(key), backward == 1, None if bound is None else _key(bound))
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise _invalid(token, "is no token of a page") from error
    if version != _VERSION:
        raise _invalid(token, "is of another version of the service")
    if mark != _mark(where, sort):
        raise _invalid(token, "belongs to another filter or order")
    return position


def _invalid(token: str, problem: str) -> InvalidInput:
    shown = token if len(token) <= 40 else token[:40] + "…"
    return InvalidInput("page token", [Problem(shown, f"{problem}: {_REMEDY}")])


def _mark(where: Where, sort: Sort) -> str:
    """Tells filters and orders apart."""
    return hashlib.blake2b(f"{sort.text} {format_where(where)}".encode(), digest_size=6).hexdigest()


def _key(value: object) -> Key:
    """Raises ValueError for anything but a key: its values reach the database."""
    if not isinstance(value, list) or len(value) != 3:
        raise ValueError(value)
    rank, arrival, id = value
    if type(arrival) is not int or abs(arrival) >= 2**63 or not isinstance(id, str):
        raise ValueError(value)
    return _rank(rank), arrival, id


def _rank(value: object) -> Rank:
    kinds: dict[Literal[0, 1, 2, 3], tuple[type, ...]] = {0: (int, float), 1: (int,), 2: (str,), 3: (str,)}
    match value:
        case [0] | [2]:
            return tuple(value)
        case [1, (0 | 1 | 2 | 3) as kind, item] if type(item) in kinds[kind]:
            if isinstance(item, int) and abs(item) >= 2**63:
                raise ValueError(value)
            return 1, kind, item
    raise ValueError(value)
