"""Fitting tables: the columns and rows that are shown where there is not enough room."""

from __future__ import annotations

from mitorch_service.cli.views.pages.fitting import GAP, Fitted, fit_columns, header_lines, keep_rows
from mitorch_service.cli.views.pages.page import Column

COLUMNS = (Column("id"), Column("status"), Column("name", 1, 8), Column("value", 2), Column("tags", 3, 6))
CELLS = [["a1b2c3d4", "completed", "a long name of a training", "0.12345", "team=vision"]]


def widths(width: int) -> dict[str, int]:
    found = fit_columns(COLUMNS, [column.name for column in COLUMNS], CELLS, lambda index: index in (0, 1, 2, 4), width)
    assert sum(one.width for one in found) + GAP * (len(found) - 1) <= width
    return {COLUMNS[one.index].name: one.width for one in found}


def test_everything_is_shown_where_there_is_room() -> None:
    assert widths(80) == {"id": 8, "status": 9, "name": 25, "value": 7, "tags": 11}


def test_text_is_cut_before_a_column_goes() -> None:
    assert widths(50) == {"id": 8, "status": 9, "name": 12, "value": 7, "tags": 6}


def test_less_important_columns_go_first() -> None:
    assert widths(45) == {"id": 8, "status": 9, "name": 15, "value": 7}
    assert widths(30) == {"id": 8, "status": 9, "name": 9}
    assert widths(20) == {"id": 8, "status": 9}


def test_ids_statuses_and_numbers_are_whole_at_every_width() -> None:
    for width in range(19, 120):
        found = widths(width)
        assert (found["id"], found["status"], found.get("value", 7)) == (8, 9, 7)


def test_what_matters_most_is_shown_even_where_it_does_not_fit() -> None:
    found = fit_columns(COLUMNS[:2], ["id", "status"], [CELLS[0][:2]], lambda index: True, 10)
    assert found == [Fitted(0, 8), Fitted(1, 9)]


def test_a_column_without_any_value_goes_before_all_others() -> None:
    cells = [["a1b2c3d4", "new", "-", "0.5", "-"], ["b1b2c3d4", "new", "-", "0.25", "x=y"]]
    found = fit_columns(COLUMNS, [column.name for column in COLUMNS], cells, lambda index: True, 200)
    assert [COLUMNS[one.index].name for one in found] == ["id", "status", "value", "tags"]


def test_names_of_columns_go_on_in_the_next_line() -> None:
    assert header_lines("average_precision", 10) == ["average_", "precision"]
    assert header_lines("optimizer.weight_decay", 12) == ["optimizer.", "weight_decay"]
    assert header_lines("train loss", 5) == ["train", "loss"]
    assert header_lines("train loss", 10) == ["train loss"]
    assert header_lines("", 3) == [""]


def test_a_name_has_no_more_lines_than_it_may_have() -> None:
    column, cells = Column("parameters.optimizer.weight_decay"), [["0.1"]]
    for most, width in ((4, 11), (3, 12), (2, 21), (1, 33)):
        found = fit_columns([column], [column.name], cells, lambda index: False, 11, most_lines=most)
        assert found == [Fitted(0, width)]
        assert len(header_lines(column.name, width)) == most


def test_rows_that_matter_most_are_kept() -> None:
    assert keep_rows(3, 5, "first") == [0, 1, 2]
    assert keep_rows(9, 3, "first") == [0, 1, 2]
    assert keep_rows(9, 3, "last") == [6, 7, 8]
    assert keep_rows(100, 6, "thinned") == [0, 32, 64, 97, 98, 99]
    assert keep_rows(9, 0, "last") == [8]
