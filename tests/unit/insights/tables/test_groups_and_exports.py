"""Groups, exports and saved views."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mitorch_service.errors import InvalidInput, NotFound
from mitorch_service.insights.tables import parquet_export, rows
from mitorch_service.insights.tables.grouping import MAX_GROUPS, group_trainings
from mitorch_service.insights.tables.opening import TableRequest
from mitorch_service.insights.tables.parquet_export import parquet_blocks, write_parquet
from mitorch_service.insights.tables.rows import TableRows
from mitorch_service.insights.tables.table import Row
from mitorch_service.insights.tables.text_export import csv_lines, json_lines
from mitorch_service.insights.tables.views import format_query, parse_query, save_view
from mitorch_service.stores.base import Store
from tests.fakes import primitives
from tests.samples import CONFIG, NOW, a_training, later


def test_groups_count_by_status_and_tell_what_a_value_reaches(store: Store) -> None:
    for team, loss, status in (
        ("a", 0.5, "completed"),
        ("a", 0.25, "failed"),
        ("b", math.nan, "new"),
        (None, None, "new"),
    ):
        tags = [] if team is None else [f"team={team}"]
        evaluation = None if loss is None else {"val_loss": loss}
        store.queue.add_trainings([a_training(tags=tags, status=status, evaluation=evaluation)])
    grouping = group_trainings(store, "", "tag.team", NOW, value="val_loss")
    assert [(one.key, one.count, dict(one.by_status)) for one in grouping.groups] == [
        ("a", 2, {"completed": 1, "failed": 1}),
        (None, 1, {"new": 1}),
        ("b", 1, {"new": 1}),
    ]
    (first, second, third) = grouping.groups
    assert (first.n, first.best, first.mean, first.least, first.greatest) == (2, 0.25, 0.375, 0.25, 0.5)
    assert (second.n, second.mean, third.n, third.best) == (0, None, 0, None)
    assert (grouping.complete, grouping.scanned, grouping.left_out) == (True, 4, 0)
    assert [one.key for one in group_trainings(store, "status:new", "created", NOW).groups] == ["2026-11-20"]
    assert group_trainings(store, "status:new status:failed", "by", NOW).groups == []
    with pytest.raises(InvalidInput, match="is no number"):
        group_trainings(store, "", "status", NOW, value="name")


def test_groups_are_bounded_and_say_what_they_left_out(store: Store) -> None:
    store.queue.add_trainings([a_training(name=f"name {n}") for n in range(MAX_GROUPS + 5)])
    grouping = group_trainings(store, "", "name", NOW)
    assert (len(grouping.groups), grouping.left_out) == (MAX_GROUPS, 5)


def test_csv_is_harmless_to_a_spreadsheet(store: Store) -> None:
    names = ['=HYPERLINK("http://x")', "+1", "-1", "@x", 'a "quoted", name\nof two lines', "-", "\tx"]
    store.queue.add_trainings([a_training(name=name, tags=["=a=b"], evaluation={"val_loss": -1.5}) for name in names])
    table = TableRows(store, TableRequest(sort="oldest", columns="name,val_loss,created,tag,ended"), NOW)
    read = list(csv.reader(io.StringIO("".join(csv_lines(table.columns, table)))))
    assert read[0] == ["id", "name", "val_loss", "created", "tag", "ended"]
    assert [row[1] for row in read[1:]] == ["'" + name if name[0] != "a" else name for name in names]
    assert read[1][2:] == ["-1.5", "2026-11-20T12:30:15.123Z", '["=a=b"]', ""]


def test_json_lines_are_objects_with_the_names_of_the_columns(store: Store) -> None:
    one = a_training(evaluation={"val_loss": math.inf})
    store.queue.add_trainings([one])
    table = TableRows(store, TableRequest(columns="val_loss,since"), NOW)
    (line,) = json_lines(table.columns, table)
    assert json.loads(line) == {"id": one.id, "metric.val_loss": None, "since": "2026-11-20T12:30:15.123Z"}


def test_parquet_keeps_types_and_begins_again_where_a_later_value_does_not_fit(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_export, "ROW_GROUP", 2)
    values = [1, 2.5, 3, "auto", None]
    store.queue.add_trainings(
        [a_training(config={**CONFIG, "size": size, "on": n % 2 == 0}, tags=["a=b"]) for n, size in enumerate(values)]
    )
    table = TableRows(
        store, TableRequest(sort="oldest", columns="id,config.size,config.on,created,epoch,tag,ended"), NOW
    )
    path = tmp_path / "table.parquet"
    assert write_parquet(path, table.columns, table) == 5
    read = pq.read_table(path).to_pydict()
    assert read["config.size"] == ["1", "2.5", "3", "auto", None]
    assert read["config.on"] == [True, False, True, False, True]
    assert (read["created"][0], read["epoch"][0], read["tag"][0], read["ended"][0]) == (NOW, 0, ["a=b"], None)
    assert pq.ParquetFile(path).num_row_groups == 3
    assert [one.name for one in tmp_path.iterdir()] == ["table.parquet"]
    nothing = TableRows(store, TableRequest("status:failed"), NOW)
    assert write_parquet(path, nothing.columns, nothing) == 0
    assert pq.read_table(path).num_rows == 0


def test_parquet_is_sent_while_rows_are_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first rows are there before the last are read; a value of another type is known before them."""
    monkeypatch.setattr(parquet_export, "ROW_GROUP", 2)
    sizes = [1, 2.5, 3, "auto", None]
    store.queue.add_trainings([a_training(config={**CONFIG, "size": size}) for size in sizes])
    for columns, expected in (("config.size", ["1", "2.5", "3", "auto", None]), ("priority", [100] * 5)):
        table = TableRows(store, TableRequest(sort="oldest", columns=columns), NOW)
        read: list[str] = []
        blocks, rows_before = [], []
        for block in parquet_blocks(table.columns, _Watched(table, read)):
            blocks.append(block)
            rows_before.append(len(read))
        assert rows_before[0] == (2 if columns == "priority" else 6)  # until a text was seen, and a group
        assert rows_before[-1] == (5 if columns == "priority" else 9)
        assert len(blocks) == 4  # three groups, and the end
        assert pq.read_table(io.BytesIO(b"".join(blocks))).column(columns).to_pylist() == expected


class _Watched:
    """Rows that are noted as they are read."""

    def __init__(self, table: TableRows, read: list[str]) -> None:
        self._table = table
        self._read = read

    def __iter__(self) -> Iterator[Row]:
        for row in self._table:
            self._read.append(row.id)
            yield row


def test_all_rows_are_exported_in_any_order_within_bounds(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    trainings = [a_training(evaluation={"val_loss": float(n * 7 % 11)}) for n in range(11)]
    store.queue.add_trainings(trainings)
    primitives(store).insert("trainings", [{**a_training().to_document(), "priority": "high"}])
    table = TableRows(store, TableRequest(sort="-val_loss", columns="val_loss"), NOW)
    assert [row.cells[0] for row in table] == [float(n) for n in range(10, -1, -1)]
    assert len(table.unreadable) == 1
    assert [row.cells[0] for row in TableRows(store, TableRequest(sort="val_loss", columns="val_loss"), NOW, 2)] == [
        0,
        1,
    ]
    monkeypatch.setattr(rows, "MAX_SORTED", 5)
    with pytest.raises(InvalidInput, match="sort by newest, priority, name, created or ended"):
        list(table)
    assert len(list(TableRows(store, TableRequest("status:new status:failed"), NOW))) == 0


def test_a_view_is_a_name_for_the_query_of_a_url(store: Store) -> None:
    fields = {"where": 'status:failed "a b" /x&y/', "sort": "-ended", "columns": "name,val_loss", "group_by": None}
    view = save_view(store, "our failures", fields, "ann", NOW)
    assert parse_query(view.query) == parse_query("?" + view.query) == {k: v for k, v in fields.items() if v}
    assert format_query(parse_query(view.query)) == view.query
    save_view(store, "our failures", {"group_by": "by", "value": "val_loss"}, None, later(1))
    assert [(one.id, one.query) for one in store.views.list_views().items] == [
        ("our failures", "group_by=by&value=val_loss")
    ]
    store.views.remove_view("our failures")
    with pytest.raises(NotFound, match="miquery --views"):
        store.views.get_view("our failures")
    with pytest.raises(NotFound):
        store.views.remove_view("our failures")


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("", {}, "is empty"),
        ("x", {"where": "statsu:new"}, "did you mean 'status'"),
        ("x", {"sort": "nonsense"}, "no known field"),
        ("x", {"columns": "nonsense"}, "no known field"),
        ("x", {"group_by": "nonsense"}, "no known field"),
        ("a\nb", {}, "cannot be printed"),
    ],
)
def test_a_view_that_would_not_work_is_not_saved(
    store: Store, name: str, fields: dict[str, str | None], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        save_view(store, name, fields, None, NOW)
    assert store.views.list_views().items == []


@pytest.mark.parametrize(("query", "said"), [("were=x", "did you mean 'where'"), ("sort=a&sort=b", "twice")])
def test_a_query_that_is_none_is_refused(query: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse_query(query)
