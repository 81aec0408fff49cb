"""Draws pages on a terminal: no wider than it is, and where they are watched no higher."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table as Grid
from rich.text import Text

from mitorch_service.cli.views.escapes import raw_stream
from mitorch_service.cli.views.fitting import Fitted, fit_columns, header_lines, is_empty, keep_rows
from mitorch_service.cli.views.page import Block, Fields, Lines, Page, Table

_STYLES: Mapping[str, str] = {
    "completed": "green",
    "running": "cyan",
    "queued": "cyan",
    "failed": "red",
    "diverged": "red",
    "canceled": "yellow",
    "pruned": "yellow",
    "paused": "yellow",
}
_Line = list[Segment]


def open_console(stderr: bool = False) -> Console:
    """The terminal. Whatever is drawn there must have its control characters escaped (`escapes.py`)."""
    return Console(file=raw_stream(sys.stderr if stderr else sys.stdout), highlight=False, markup=False, emoji=False)


def print_page(page: Page) -> None:
    """Prints the parts, one below the other, each with all its rows."""
    console = open_console()
    for block in page.blocks:
        if isinstance(block, Lines) and block.to_errors:
            open_console(stderr=True).print(_draw(block, console.width), soft_wrap=True)
        else:
            console.print(_draw(block, console.width))


class FittedPage:
    """A page that fits the height, too: fields and tables in one line each where they must, of long tables the rows
    that matter most."""

    def __init__(self, page: Page, heading: str) -> None:
        self._page = page
        self._heading = heading

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.size.height
        options = options.update(height=None)
        heading = console.render_lines(Text(self._heading, style="dim", no_wrap=True, overflow="ellipsis"), options)
        lines = heading + self._lines(console, options, height - len(heading))
        for number, line in enumerate(lines[:height]):
            if number:
                yield Segment.line()
            yield from line

    def _lines(self, console: Console, options: ConsoleOptions, height: int) -> list[_Line]:
        blocks = self._page.blocks
        width = options.max_width
        whole = [line for block in blocks for line in console.render_lines(_draw(block, width), options, pad=False)]
        if len(whole) <= height:
            return whole
        short = [_shortened(block, height) for block in blocks]
        drawn = [console.render_lines(_draw(block, width, low=True), options, pad=False) for block in short]
        room = height - sum(map(len, drawn))
        rows = _share([block for block in short if isinstance(block, Table)], room)
        lines: list[_Line] = []
        for block, before in zip(blocks, drawn, strict=True):
            if isinstance(block, Table):
                part = _some_rows(block, next(rows))
                lines += console.render_lines(_draw(part, width, low=True), options, pad=False)
            else:
                lines += before
        return lines


def _shortened(block: Block, height: int) -> Block:
    """The block for a low screen; of a table only what stands around its rows."""
    if isinstance(block, Table):
        return replace(block, rows=())
    most = max(3, height // 2 if isinstance(block, Fields) else height // 4)
    if isinstance(block, Fields):
        shown = block.shown()
        more: list[tuple[str, str]] = [("…", f"{len(shown) - most + 1} more")]
        return Fields([*shown[: most - 1], *more] if len(shown) > most else shown)
    return replace(block, lines=block.lines[:most])


def _share(tables: Sequence[Table], room: int) -> Iterator[int]:
    """Yields how many rows each table gets of `room`: first those that are content with a few."""
    given = [min(len(table.rows), table.most, max(0, room)) if table.most is not None else 0 for table in tables]
    hungry = sum(table.most is None for table in tables) or 1
    left = max(0, room - sum(given))
    for table, few in zip(tables, given, strict=True):
        yield few if table.most is not None else min(len(table.rows), left // hungry)


def _some_rows(table: Table, room: int) -> Table:
    kept = keep_rows(len(table.rows), room, table.keep) if room > 0 else []
    if len(kept) == len(table.rows):
        return table
    return replace(table, title=f"{table.title} ({len(kept)} of {len(table.rows)})", rows=[table.rows[i] for i in kept])


def _draw(block: Block, width: int, low: bool = False) -> RenderableType:
    """`low`: nothing takes several lines."""
    if isinstance(block, Table):
        return _draw_table(block, width, low)
    if isinstance(block, Fields):
        return _draw_fields(block, low)
    return Text("\n".join(block.shown()), no_wrap=low, overflow="ellipsis" if low else "fold")


def _draw_fields(fields: Fields, low: bool) -> RenderableType:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(no_wrap=low, overflow="ellipsis" if low else "fold")
    for name, value in fields.shown():
        grid.add_row(Text(name), Text(value, style=_STYLES.get(value, "")))
    return grid


def _draw_table(table: Table, width: int, low: bool) -> RenderableType:
    headers, cells = table.headers(), table.cells()
    fitted = fit_columns(table.columns, headers, cells, table.is_text, width, cell_len)
    grid = Grid(
        title=Text(table.title, style="italic"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        caption=_left_out(headers, cells, fitted),
        caption_justify="left",
    )
    for one in fitted:
        wraps = table.columns[one.index].wraps and not low
        name = "\n".join(header_lines(headers[one.index], one.width, cell_len))
        grid.add_column(Text(name), width=one.width, no_wrap=not wraps, overflow="fold" if wraps else "ellipsis")
    for row in cells:
        grid.add_row(*(_draw_cell(table, row[one.index], one) for one in fitted))
    return Group("", grid) if not low else grid


def _draw_cell(table: Table, cell: str, fitted: Fitted) -> Text:
    if table.columns[fitted.index].keeps_end and cell_len(cell) > fitted.width:
        cell = "…" + cell[-(fitted.width - 1) :]
    return Text(cell, style=_STYLES.get(cell, ""))


def _left_out(headers: Sequence[str], cells: Sequence[Sequence[str]], fitted: Sequence[Fitted]) -> Text | None:
    shown = {one.index for one in fitted}
    names = [header for index, header in enumerate(headers) if index not in shown and not is_empty(cells, index)]
    return Text(f"no room for: {', '.join(names)}", style="dim") if names else None
