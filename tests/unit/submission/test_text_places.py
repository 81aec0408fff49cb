"""The lines of a config that problems are about."""

from __future__ import annotations

import pytest

from mitorch_service.errors import Problem
from mitorch_service.submission.text_places import place

TEXT = """{
\t"model": {"name": "x",
    "options": {"a.b": 1}},
  "list": [1,
    {"deep": 2}]
}"""


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        ("model.name", 2, 12),
        ("model.options.a.b", 3, 17),
        ("model.missing", 2, 2),
        ("list[1].deep", 5, 6),
        ("list[9]", 4, 3),
        ("list, model", 4, 3),
        ("nothing", None, None),
        ("", None, None),
        ("line 4, column 7", 4, 7),
    ],
)
def test_a_problem_is_at_its_key_or_at_the_nearest_around_it(path: str, line: int | None, column: int | None) -> None:
    (found,) = place(TEXT, [Problem(path, "wrong")])
    assert (found.line, found.column) == (line, column)


@pytest.mark.parametrize("text", ["{", "[1, 2]", "just text", "&a [*a]", "x" * 300_000, "\ud800", "a: &b {c: *b}"])
def test_what_cannot_be_read_has_no_lines(text: str) -> None:
    (found,) = place(text, [Problem("model.name", "wrong")])
    assert found.line is None
