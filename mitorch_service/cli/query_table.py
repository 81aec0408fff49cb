"""Tables of trainings, and saved views (`miquery --where …`)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import click

from mitorch_service.cli.parameters.table_options import TableOptions
from mitorch_service.cli.views.query.groups import GroupView
from mitorch_service.cli.views.query.table import TableView
from mitorch_service.insights.tables.opening import TableRequest
from mitorch_service.insights.tables.rows import TableRows
from mitorch_service.insights.tables.views import parse_query, save_view
from mitorch_service.insights.where.grammar import format_where
from mitorch_service.insights.where.terms import Where, equals
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.wiring import open_store

_ROWS = 20
_GROUP_SECONDS = 10.0


@dataclass(frozen=True)
class Output:
    """The form in which a table is shown."""

    limit: int | None
    as_json: bool
    as_csv: bool
    watch: bool


def query_table(asked: TableOptions, filters: Mapping[str, str | None], output: Output) -> None:
    """Shows, exports or saves what was asked for. `filters`: by option, of those that each name one field."""
    _refuse(asked, output)
    settings = read_settings()
    store = open_store(settings)
    if asked.views:
        from mitorch_service.cli.views.query.saved_views import show_views

        show_views(store, output.as_json)
        return
    if asked.remove_view is not None:
        store.views.remove_view(asked.remove_view)
        click.echo(f"view {asked.remove_view!r} removed")
        return
    asked = _with_view(store, asked, filters)
    if asked.save_view is not None:
        fields = {"where": asked.where, "sort": asked.sort, "columns": asked.columns}
        fields |= {"group_by": asked.group_by, "value": asked.value}
        store.prepare()
        save_view(store, asked.save_view, fields, settings.user, datetime.now(UTC))
        click.echo(f"view {asked.save_view!r} saved: miquery --view {asked.save_view!r} shows it")
    elif asked.group_by is not None:
        _show_groups(store, asked, output)
    else:
        _show_rows(store, asked, output)


def _refuse(asked: TableOptions, output: Output) -> None:
    formats = [name for name, given in (("--csv", output.as_csv), ("--json", output.as_json)) if given]
    formats += ["--parquet"] if asked.parquet is not None else []
    if len(formats) > 1:
        raise click.UsageError(f"{formats[0]} and {formats[1]} are two forms: give one of them.")
    if output.watch and (output.as_csv or asked.parquet is not None):
        raise click.UsageError(f"{formats[0]} is written once: give it without --watch.")
    alone = [name for name in asked.given() if name in ("--views", "--remove-view", "--save-view")]
    if alone and (len(alone) > 1 or output.watch or output.as_csv or asked.parquet is not None):
        raise click.UsageError(f"{alone[0]} shows no table: give it without what belongs to one.")
    if asked.value is not None and asked.group_by is None and asked.view is None:
        raise click.UsageError("--value belongs to --group-by.")


def _with_view(store: Store, asked: TableOptions, filters: Mapping[str, str | None]) -> TableOptions:
    """Adds the filters of single options, and what a saved view has: filters of both hold, else the option goes
    first."""
    terms = [equals(option.removeprefix("--"), value) for option, value in filters.items() if value]
    wheres = [asked.where, format_where(Where(tuple(terms)))]
    saved: dict[str, str] = {}
    if asked.view is not None:
        saved = parse_query(store.views.get_view(asked.view).query)
        wheres.append(saved.pop("where", None))
    return replace(
        asked,
        where=" ".join(filter(None, wheres)),
        sort=asked.sort or saved.get("sort"),
        columns=asked.columns or saved.get("columns"),
        group_by=asked.group_by or saved.get("group_by"),
        value=asked.value or saved.get("value"),
    )


def _show_groups(store: Store, asked: TableOptions, output: Output) -> None:
    if asked.parquet is not None or asked.after is not None or (asked.columns is not None and asked.view is None):
        raise click.UsageError("--group-by counts: give it without --columns, --after and --parquet.")
    view = GroupView(store, asked.where or "", asked.group_by or "", asked.value, asked.time_limit or _GROUP_SECONDS)
    if output.as_csv:
        sys.stdout.writelines(view.csv_lines())
    else:
        _show(view, output)


def _show_rows(store: Store, asked: TableOptions, output: Output) -> None:
    request = TableRequest(asked.where or "", asked.sort, asked.columns, output.limit or _ROWS, asked.after)
    if asked.time_limit is not None:
        request = replace(request, seconds=asked.time_limit)
    if asked.parquet is None and not output.as_csv:
        _show(TableView(store, request), output)
        return
    if asked.after is not None:
        raise click.UsageError("--after is of a page: --csv and --parquet write all rows, or the first --limit N.")
    rows = TableRows(store, request, datetime.now(UTC), output.limit)
    if asked.parquet is not None:
        from mitorch_service.insights.tables.parquet_export import write_parquet

        written = write_parquet(Path(asked.parquet), rows.columns, rows)
        click.echo(f"{written:,} rows written to {asked.parquet}", err=True)
    else:
        from mitorch_service.insights.tables.text_export import csv_lines

        sys.stdout.writelines(csv_lines(rows.columns, rows))
    for broken in rows.unreadable:
        click.echo(str(broken), err=True)


def _show(view: TableView | GroupView, output: Output) -> None:
    if output.watch:
        from mitorch_service.cli.views.pages import watch as watching

        (watching.watch_json if output.as_json else watching.watch)(view)
    elif output.as_json:
        view.show_json()
    else:
        view.show()
