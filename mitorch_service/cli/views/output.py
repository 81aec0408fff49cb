"""Prints tables (by rich on a terminal, plain columns of stable layout when piped), fields and JSON."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import click

from mitorch_service.models.secrets import mask_secrets


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints the rows. Piped: the column names in capitals, then one line per row, columns two spaces apart."""
    cells = [[mask_secrets(text(cell)) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _draw(title, columns, cells)
        return
    table = [[column.upper().replace(" ", "_") for column in columns], *cells]
    widths = [max(len(row[i]) for row in table) for i in range(len(columns))]
    click.echo(f"# {title}")
    for row in table:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def show_fields(fields: Sequence[tuple[str, object]]) -> None:
    """Prints a name and a value on each line, without the fields that have no value."""
    shown = [(name, mask_secrets(text(value))) for name, value in fields if value not in (None, "", [], {})]
    width = max(len(name) for name, _ in shown)
    for name, value in shown:
        click.echo(f"{name.ljust(width)}  {value}")


def show_json(value: object) -> None:
    """Prints one JSON document, credentials masked; numbers that are not finite become strings, as JSON has none."""
    click.echo(mask_secrets(json.dumps(_plain(value), ensure_ascii=False, indent=2)))


def stream_json(fields: Iterable[tuple[str, object]]) -> None:
    """Prints one JSON object, credentials masked, as its fields come. An iterator becomes a list that is written item
    by item, each on a line of its own, without being held in memory."""
    before = "{"
    for name, value in fields:
        sys.stdout.write(f"{before}{json.dumps(name)}: ")
        if isinstance(value, Iterator):
            _stream_list(value)
        else:
            sys.stdout.write(_compact(value))
        before = ",\n"
    sys.stdout.write("}\n")


def text(value: object) -> str:
    """Formats a cell: four significant digits, times in UTC to the second, `-` for nothing."""
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, dict):
        return " ".join(f"{name}={text(item)}" for name, item in value.items()) or "-"
    if isinstance(value, list | tuple):
        return " ".join(map(text, value)) or "-"
    return str(value)


def _stream_list(items: Iterator[object]) -> None:
    before = "[\n"
    for item in items:
        sys.stdout.write(before + _compact(item))
        before = ",\n"
    sys.stdout.write("[]" if before == "[\n" else "\n]")


def _compact(value: object) -> str:
    try:
        line = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:  # a number that is not finite: rare, and replacing it costs as much as all the rest
        line = json.dumps(_plain(value), ensure_ascii=False)
    return mask_secrets(line)


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


def _draw(title: str, columns: Sequence[str], cells: list[list[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    Console().print(table)


_STYLES = {
    "completed": "green",
    "running": "cyan",
    "queued": "cyan",
    "failed": "red",
    "diverged": "red",
    "canceled": "yellow",
    "pruned": "yellow",
    "paused": "yellow",
}
