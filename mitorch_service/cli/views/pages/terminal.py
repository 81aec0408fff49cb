"""Draws pages on a terminal: no wider than it is, and where they are watched no higher."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table as Grid
from rich.text import Text

from mitorch_service.cli.views.pages.escapes import one_line, raw_stream
from mitorch_service.cli.views.pages.fitting import Fitted, fit_columns, header_lines, is_empty, keep_rows
from mitorch_service.cli.views.pages.page import Block, Fields, Lines, Page, Table
from mitorch_service.cli.views.pages.wrapping import wrapped_for

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
_ENOUGH_ROWS = 5  # of the main table of a low screen; of a higher one a third of it
_LAYOUTS = ((20, True), (8, True), (6, False), (4, False))  # lines of fields, and whether lesser tables are shown
_Line = list[Segment]


def open_console(stderr: bool = False) -> Console:
    """The terminal. Whatever is drawn there must have its control characters escaped (`escapes.py`)."""
    return Console(file=raw_stream(sys.stderr if stderr else sys.stdout), highlight=False, markup=False, emoji=False)


def print_page(page: Page) -> None:
    """Prints the parts, one below the other, each with all its rows."""
    console = open_console()
    for block in page.blocks:
        if isinstance(block, Lines) and block.to_errors:
            text = wrapped_for("\n".join(block.shown()), sys.stderr)
            open_console(stderr=True).print(Text(text), soft_wrap=True)
        else:
            console.print(_draw(block, console.width))


class FittedPage:
    """A page that fits the height, too: fields and tables in one line each where they must, of long tables the rows
    that matter most."""

    def __init__(self, page: Page, heading: str) -> None:
        self._page = page
        self._heading = heading
        self._drawn: dict[tuple[int, int], list[_Line]] = {}  # by width and height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        size = options.max_width, options.height or console.size.height - 1
        if size not in self._drawn:
            self._drawn = {size: self._draw(console, options.update(height=None), size[1])}
        for number, line in enumerate(self._drawn[size]):
            if number:
                yield Segment.line()
            yield from line

    def _draw(self, console: Console, options: ConsoleOptions, height: int) -> list[_Line]:
        def lines(renderable: RenderableType) -> list[_Line]:
            return console.render_lines(renderable, options, pad=False)

        width, blocks = options.max_width, self._page.blocks
        heading = lines(Text(self._heading, style="dim", no_wrap=True, overflow="ellipsis"))
        room = height - len(heading)
        if _row_count(blocks) <= room:
            whole = [line for block in blocks for line in lines(_draw(block, width))]
            if len(whole) <= room:
                return heading + whole
        for field_lines, all_tables in _LAYOUTS:
            chosen = [block for block in blocks if all_tables or _is_main(block)]
            short = [_shortened(block, room, field_lines) for block in chosen]
            around = sum(len(lines(_draw(block, width, low=True))) for block in short) - _row_count(short)
            left = room - around - sum(_few(block) for block in short)
            if left >= max(_ENOUGH_ROWS, height // 3) * sum(_is_hungry(block) for block in short):
                break
        for index, block in enumerate(chosen):
            if isinstance(block, Table):
                short[index] = _some_rows(block, _few(block) or left)
        return [*heading, *(line for block in short for line in lines(_draw(block, width, low=True)))][:height]


def _is_hungry(block: Block) -> bool:
    """Whether a table takes all the room that is left."""
    return isinstance(block, Table) and block.most is None


def _is_main(block: Block) -> bool:
    return not isinstance(block, Table) or block.most is None


def _few(block: Block) -> int:
    """The rows of a table that is content with a few."""
    return min(len(block.rows), block.most) if isinstance(block, Table) and block.most is not None else 0


def _row_count(blocks: Sequence[Block]) -> int:
    return sum(len(block.rows) for block in blocks if isinstance(block, Table))


def _shortened(block: Block, height: int, most: int) -> Block:
    """The block for a low screen, with at most so many fields or lines."""
    if isinstance(block, Table):
        return _some_rows(block, height)  # of which each takes a line
    if isinstance(block, Fields):
        shown = block.shown()
        more: list[tuple[str, str]] = [("…", f"{len(shown) - most + 1} more")]
        return Fields([*shown[: most - 1], *more] if len(shown) > most else shown)
    return replace(block, lines=block.lines[:most])


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
    shown = fields.shown()
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim", min_width=max((cell_len(name) for name, _ in shown), default=0))
    grid.add_column(no_wrap=low, overflow="ellipsis" if low else "fold")
    for name, value in shown:
        grid.add_row(Text(name), Text(value, style=_STYLES.get(value, "")))
    return grid


def _draw_table(table: Table, width: int, low: bool) -> RenderableType:
    headers, cells = table.headers(), table.cells()
    fitted = fit_columns(table.columns, headers, cells, table.is_text, width, cell_len, most_lines=2 if low else 3)
    grid = Grid(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for one in fitted:
        wraps = table.columns[one.index].wraps and not low
        name = "\n".join(header_lines(headers[one.index], one.width, cell_len))
        grid.add_column(Text(name), width=one.width, no_wrap=not wraps, overflow="fold" if wraps else "ellipsis")
    for row in cells:
        grid.add_row(*(_draw_cell(table, row[one.index], one) for one in fitted))
    title = Text(one_line(table.title), style="italic", no_wrap=True, overflow="ellipsis")
    return Group(title, grid) if low else Group("", title, grid, *_left_out(headers, cells, fitted))


def _draw_cell(table: Table, cell: str, fitted: Fitted) -> Text:
    if table.columns[fitted.index].keeps_end and cell_len(cell) > fitted.width:
        cell = "…" + cell[-(fitted.width - 1) :]
    return Text(cell, style=_STYLES.get(cell, ""))


def _left_out(headers: Sequence[str], cells: Sequence[Sequence[str]], fitted: Sequence[Fitted]) -> list[Text]:
    shown = {one.index for one in fitted}
    names = [header for index, header in enumerate(headers) if index not in shown and not is_empty(cells, index)]
    return [Text(f"no room for: {', '.join(names)}", style="dim")] if names else []
