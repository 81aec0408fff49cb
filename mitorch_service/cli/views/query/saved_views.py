"""Shows the saved views (`miquery --views`)."""

from __future__ import annotations

from mitorch_service.cli.views.pages.output import show_page, stream_json
from mitorch_service.cli.views.pages.page import Block, Column, Lines, Page, Table
from mitorch_service.insights.tables.views import parse_query
from mitorch_service.stores.base import Store

_COLUMNS = (Column("view"), Column("where", 1, 20), Column("sort", 2), Column("columns", 3, 20), Column("by", 5, 8))


def show_views(store: Store, as_json: bool) -> None:
    """Prints the views by name."""
    listing = store.views.list_views()
    unreadable = [{"id": str(one.key), "reason": one.reason} for one in listing.broken]
    if as_json:
        stream_json([("views", [view.to_document() for view in listing.items]), ("unreadable", unreadable)])
        return
    rows = []
    for view in listing.items:
        query = parse_query(view.query)
        columns = query.get("columns") or (f"by {query['group_by']}" if "group_by" in query else None)
        rows.append([view.id, query.get("where"), query.get("sort"), columns, view.saved_by])
    blocks: list[Block] = [Table("views", _COLUMNS, rows)]
    notes = [] if rows else ["none yet: miquery --where FILTER --save-view NAME saves one"]
    show_page(Page([*blocks, Lines([*notes, *map(str, listing.broken)])]))
