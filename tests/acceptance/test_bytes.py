"""Arguments that are no text are refused, wherever they stand."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import Machine

BYTES = "a\udcff"


@pytest.mark.parametrize(
    "arguments",
    [("query", BYTES), ("submit", BYTES), ("submit", "x.json", "--name", BYTES), ("dataset", "show", BYTES), (BYTES,)],
)
def test_an_argument_that_is_no_text_is_wrong_usage(bare_machine: Machine, arguments: tuple[str, ...]) -> None:
    answer = bare_machine.run(*arguments)
    assert (answer.code, "'a\\xff' is not UTF-8 text" in answer.err) == (2, True), answer
    assert not bare_machine.home.exists()
