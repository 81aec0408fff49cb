"""The options of `miquery` that make a table: filter, order, columns, groups, saved views."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import click

from mitorch_service.cli.parameters.completed_values import (
    complete_columns,
    complete_fields,
    complete_views,
    complete_where,
)
from mitorch_service.cli.parameters.parameter_types import FilePath, Number

_OPTIONS = (
    click.option(
        "--where",
        metavar="FILTER",
        shell_complete=complete_where,
        help="Only what fits, such as 'status:failed val_loss:<0.3 cat*'.",
    ),
    click.option(
        "--sort",
        metavar="FIELD",
        shell_complete=complete_fields,
        help="The order: newest, oldest, queue, or a field; -FIELD: descending.",
    ),
    click.option(
        "--columns",
        metavar="A,B,C",
        shell_complete=complete_columns,
        help="The columns, such as name,base_lr,best.val_loss.",
    ),
    click.option(
        "--group-by", metavar="FIELD", shell_complete=complete_fields, help="Count by a field, in place of rows."
    ),
    click.option(
        "--value",
        metavar="FIELD",
        shell_complete=complete_fields,
        help="With --group-by: best, mean, least and greatest of this field.",
    ),
    click.option("--after", metavar="TOKEN", help="The next page of a table, or the one before."),
    click.option(
        "--time-limit", type=Number(0.01, 3600), help="Seconds to look for rows. [default: 1; with --group-by: 10]"
    ),
    click.option(
        "--parquet", metavar="FILE", type=FilePath(dir_okay=False), help="Write all rows into a Parquet file."
    ),
    click.option(
        "--view",
        metavar="NAME",
        shell_complete=complete_views,
        help="A saved view; further options narrow or replace its own.",
    ),
    click.option("--save-view", metavar="NAME", help="Save filter, order, columns and groups under a name."),
    click.option("--remove-view", metavar="NAME", shell_complete=complete_views, help="Remove a saved view."),
    click.option("--views", is_flag=True, help="List the saved views."),
)


@dataclass(frozen=True)
class TableOptions:
    """The values of the options."""

    where: str | None = None
    sort: str | None = None
    columns: str | None = None
    group_by: str | None = None
    value: str | None = None
    after: str | None = None
    time_limit: float | None = None
    parquet: str | None = None
    view: str | None = None
    save_view: str | None = None
    remove_view: str | None = None
    views: bool = False

    def given(self) -> list[str]:
        """The names of the options that were given."""
        return [f"--{name.replace('_', '-')}" for name, value in asdict(self).items() if value not in (None, False)]


def table_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a command, which gets them as `table`."""
    names = list(TableOptions.__dataclass_fields__)

    @functools.wraps(command)
    def called(**arguments: Any) -> Any:
        table = TableOptions(**{name: arguments.pop(name) for name in names})
        return command(**arguments, table=table)

    for option in reversed(_OPTIONS):
        called = option(called)
    return called
