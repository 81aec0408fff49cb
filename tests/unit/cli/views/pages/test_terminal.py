"""Pages as a terminal shows them."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from mitorch_service.cli.views.pages import terminal
from mitorch_service.cli.views.pages.page import Column, Fields, Lines, Page, Table
from mitorch_service.cli.views.pages.terminal import FittedPage, print_page
from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.models.status import TrainingStatus

ID = "07159053-3673-45de-8fde-6b4aba2f5f35"
FIELDS = Fields(
    [("training", "07159053-3673-45de-8fde-6b4aba2f5f35"), ("status", "running"), ("parameters", "x " * 90)]
)
LIST = Table(
    "trainings",
    (Column("id"), Column("status"), Column("name", 1, 12), Column("value", 2), Column("path", 3, 12, keeps_end=True)),
    [
        [
            "07159053",
            TrainingStatus.COMPLETED,
            "naïve 日本語の名前です " * 3,
            0.123456,
            "/a/long/path/of/a/file/train.txt",
        ],
        ["17159053", TrainingStatus.DIVERGED, None, 1.5e-7, "/x"],
    ],
)
CURVE = Table("curve", (Column("epoch"), Column("loss", 1)), [[n, 1 / n] for n in range(1, 301)], keep="thinned")
ATTEMPTS = Table("attempts", (Column("attempt"), Column("reason", 1, wraps=True)), [[1, "lost " * 40]] * 4, most=3)


def console(width: int, height: int = 50) -> Console:
    return Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)


def printed(page: Page, width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    shown = console(width)
    monkeypatch.setattr(terminal, "open_console", lambda stderr=False: shown)
    print_page(page)
    assert isinstance(shown.file, io.StringIO)
    return [line.rstrip() for line in shown.file.getvalue().splitlines()]


def fitted(page: Page, width: int, height: int) -> list[str]:
    shown = console(width, height)
    shown.print(FittedPage(page, "heading"), end="")
    assert isinstance(shown.file, io.StringIO)
    return [line.rstrip() for line in shown.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_every_row_takes_one_line_within_the_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(Page([LIST]), width, monkeypatch)
    assert max(map(cell_len, lines)) <= width
    rows = [line for line in lines if line.startswith(("07159053", "17159053"))]
    assert [row.split()[1] for row in rows] == ["completed", "diverged"]
    assert ("0.1235" in rows[0]) == ("value" not in lines[-1])


def test_it_says_which_columns_had_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed(Page([LIST]), 40, monkeypatch)[-1] == "no room for: value, path"
    assert "no room" not in "".join(printed(Page([LIST]), 200, monkeypatch))


def test_a_path_is_cut_at_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert any(line.endswith("/train.txt") and " …" in line for line in printed(Page([LIST]), 60, monkeypatch))


def test_long_values_of_fields_go_on_below_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(Page([FIELDS]), 60, monkeypatch)
    assert lines[0] == f"training    {ID}"
    assert len(lines) > 3
    assert all(line.startswith("            x x") for line in lines[3:])


@pytest.mark.parametrize("height", [8, 12, 24, 40])
def test_a_watched_page_is_no_higher_than_the_screen(height: int) -> None:
    lines = fitted(Page([FIELDS, ATTEMPTS, CURVE, Lines(["a note"])]), 80, height)
    assert len(lines) <= height
    assert lines[:3] == ["heading", f"training    {ID}", "status      running"]
    if height >= 12:
        assert any(line.startswith("300  ") for line in lines)  # the newest epoch
        assert any(line.startswith("1   ") for line in lines)  # and the first
        assert any(line.startswith("curve (") and line.endswith(" of 300)") for line in lines)


def test_a_watched_page_that_fits_is_whole() -> None:
    lines = fitted(Page([FIELDS, LIST]), 100, 40)
    assert "no room" not in "".join(lines)
    assert sum(line.startswith(("07159053", "17159053")) for line in lines) == 2


def test_a_screen_that_changes_its_size_is_drawn_anew() -> None:
    page = FittedPage(Page([CURVE]), "heading")
    for height in (10, 30):
        shown = console(80, height)
        shown.print(page, end="")
        assert isinstance(shown.file, io.StringIO)
        assert len(shown.file.getvalue().splitlines()) == height - 1


def test_the_newest_rows_are_on_a_low_screen_however_long_the_names_of_columns_are() -> None:
    names = ("train loss", "val loss", "top1_accuracy", "mean_average_precision_at_50", "recall_per_class_macro")
    columns = [Column("epoch"), *(Column(name, number) for number, name in enumerate(names, 1))]
    curve = Table("curve", columns, [[n, *[0.5] * len(names)] for n in range(1, 63)], keep="thinned")
    lines = fitted(Page([FIELDS, ATTEMPTS, curve]), 60, 12)
    assert len(lines) <= 12
    assert lines[-1].startswith("62  ")


def test_fields_leave_a_third_of_a_high_screen_to_the_newest_rows() -> None:
    fields = Fields([(f"name {number}", number) for number in range(15)])
    lines = fitted(Page([fields, ATTEMPTS, CURVE]), 80, 30)
    assert sum(line[:1].isdecimal() for line in lines) >= 10


def test_a_result_is_cut_before_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    from mitorch_service.cli.views.query.jobs import _COLUMNS as of_jobs
    from mitorch_service.cli.views.query.queue import _COLUMNS as of_trainings

    for columns, name in ((of_trainings, "result"), (of_jobs, "best")):
        result = next(column for column in columns if column.name == name)
        table = Table("list", (Column("id"), result), [["07159053", "mean_average_precision=0.4321"]])
        assert any(line.endswith("=0.4321") for line in printed(Page([table]), 30, monkeypatch))


def test_fields_without_a_value_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = Fields([("dataset", NO_DATASET), ("name", None), ("tags", []), ("status", "new")])
    assert printed(Page([fields]), 60, monkeypatch) == ["status  new"]
