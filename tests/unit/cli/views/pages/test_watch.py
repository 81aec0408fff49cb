"""Watching without a terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable

import pytest
from rich.console import Console

from mitorch_service.cli.views.pages import terminal
from mitorch_service.cli.views.pages import watch as watching
from mitorch_service.cli.views.pages.page import Fields, Page
from mitorch_service.cli.views.query.base import View
from mitorch_service.errors import StoreUnavailable


class Countdown(View):
    """Ends when it was read often enough."""

    def __init__(self, left: int) -> None:
        self.left = left

    def read(self) -> Page:
        self.left -= 1
        return Page([Fields([("left", self.left)])], self.left == 0)

    def has_ended(self) -> bool:
        self.left -= 1
        return self.left == 0

    def fields(self) -> Iterable[tuple[str, object]]:
        return [("left", self.left), ("rows", iter([1, 2])), ("none", iter(()))]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_SECONDS", 0.0)


def test_pages_follow_each_other_until_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    watching.watch(Countdown(3))
    assert capsys.readouterr().out == "left  2\n\nleft  1\n\nleft  0\n"


def test_each_line_is_a_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    watching.watch_json(Countdown(2))
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [{"left": left, "rows": [1, 2], "none": []} for left in (1, 0)]


def test_a_database_that_does_not_answer_is_waited_for() -> None:
    class Away(Countdown):
        def read(self) -> Page:
            raise StoreUnavailable("there", "is away", "Wait.")

    last = Page()
    page, problem = watching._read_again(Away(1), last)
    assert page is last
    assert "is away" in problem


def test_the_screen_is_empty_when_it_is_left_and_the_last_page_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Console(file=io.StringIO(), width=40, height=6, force_terminal=True, color_system=None)
    monkeypatch.setattr(terminal, "open_console", lambda: shown)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    watching.watch(Countdown(3))
    assert isinstance(shown.file, io.StringIO)
    screen, _, after = shown.file.getvalue().partition("\x1b[?1049l")
    assert screen.startswith("\x1b[?1049h")
    assert "left  2" in screen
    assert screen.rpartition("\x1b[H")[2].split() == ["\x1b[?25h"]
    assert "left  0" in after
