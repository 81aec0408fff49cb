"""Prints pages into a pipe: every column and row, in a layout that programs can rely on."""

from __future__ import annotations

import click

from mitorch_service.cli.views.pages.escapes import one_line
from mitorch_service.cli.views.pages.page import Fields, Lines, Page, Table


def print_page(page: Page) -> None:
    """Prints the parts, one below the other."""
    for block in page.blocks:
        if isinstance(block, Table):
            print_table(block)
        elif isinstance(block, Fields):
            print_fields(block)
        else:
            print_lines(block)


def print_table(table: Table) -> None:
    """Prints the column names in capitals, then one line per row, columns two spaces apart."""
    rows = [[header.upper().replace(" ", "_") for header in table.headers()], *table.cells()]
    widths = [max(len(row[index]) for row in rows) for index in range(len(table.columns))]
    click.echo(f"# {one_line(table.title)}")
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_fields(fields: Fields) -> None:
    """Prints a name and a value on each line."""
    shown = fields.shown()
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{name.ljust(width)}  {value}")


def print_lines(lines: Lines) -> None:
    for line in lines.shown():
        click.echo(line, err=lines.to_errors)
