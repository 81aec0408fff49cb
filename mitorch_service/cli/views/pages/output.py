"""Prints pages, tables, fields and JSON."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import click

from mitorch_service.cli.views.pages.escapes import json_text
from mitorch_service.cli.views.pages.page import Column, Fields, Page, Table, text
from mitorch_service.models.secrets import mask_secrets

__all__ = ["line_json", "show_fields", "show_json", "show_page", "show_table", "stream_json", "text"]


def show_page(page: Page) -> None:
    """Prints a page: drawn by rich on a terminal, else in plain columns of stable layout."""
    if sys.stdout.isatty():
        from mitorch_service.cli.views.pages.terminal import print_page
    else:
        from mitorch_service.cli.views.pages.plain import print_page
    print_page(page)


def show_table(title: str, columns: Sequence[str | Column], rows: Sequence[Sequence[object]]) -> None:
    """Prints the rows under the columns, of which the first matter most unless they say otherwise."""
    show_page(Page([Table.of(title, columns, rows)]))


def show_fields(fields: Sequence[tuple[str, object]]) -> None:
    """Prints a name and a value on each line, without the fields that have no value."""
    show_page(Page([Fields(fields)]))


def show_json(value: object) -> None:
    """Prints one JSON document, credentials masked; numbers that are not finite become strings, as JSON has none."""
    click.echo(json_text(mask_secrets(json.dumps(_plain(value), ensure_ascii=False, indent=2))))


def stream_json(fields: Iterable[tuple[str, object]]) -> None:
    """Prints one JSON object, credentials masked, as its fields come. An iterator becomes a list that is written item
    by item, each on a line of its own, without being held in memory."""
    sys.stdout.writelines(_pieces(fields, "\n"))
    sys.stdout.write("\n")


def line_json(fields: Iterable[tuple[str, object]]) -> None:
    """Prints the same in one line."""
    sys.stdout.writelines(_pieces(fields, " "))
    sys.stdout.write("\n")


def _pieces(fields: Iterable[tuple[str, object]], between: str) -> Iterator[str]:
    before = "{"
    for name, value in fields:
        yield f"{before}{json.dumps(name)}: "
        if isinstance(value, Iterator):
            yield from _list_pieces(value, between)
        else:
            yield _compact(value)
        before = f",{between}"
    yield "}"


def _list_pieces(items: Iterator[object], between: str) -> Iterator[str]:
    before = f"[{between}"
    for item in items:
        yield before + _compact(item)
        before = f",{between}"
    yield "[]" if before[0] == "[" else f"{between}]"


def _compact(value: object) -> str:
    try:
        line = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:  # a number that is not finite: rare, and replacing it costs as much as all the rest
        line = json.dumps(_plain(value), ensure_ascii=False)
    return json_text(mask_secrets(line))


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if value is None or isinstance(value, str | int | float):
        return value
    return value.hex() if isinstance(value, bytes) else str(value)  # a database holds more types than JSON
