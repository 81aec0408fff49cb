"""Messages on a terminal are wrapped at words."""

from __future__ import annotations

import io
import os
import pty
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from mitorch_service.cli.views.pages.escapes import EscapingStream
from mitorch_service.cli.views.pages.wrapping import wrapped, wrapped_for

ID = "2264b429-0a82-4de6-9bda-47180eac2e2f"


def test_lines_end_between_words_and_hang_from_the_second_on() -> None:
    text = f"Error: there is no training {ID} in this database.\n  because: a b"
    assert wrapped(text, 40) == f"Error: there is no training\n  {ID}\n  in this database.\n  because: a b"
    assert wrapped("  because: the file is not there", 16) == "  because: the\n    file is not\n    there"
    assert wrapped(text, 200) == text


def test_a_command_stays_whole_where_it_fits() -> None:
    assert wrapped("see miquery and miquery --jobs list", 24) == "see miquery and\n  miquery --jobs list"
    assert wrapped("wait, then micontrol retry it", 20) == "wait, then\n  micontrol retry it"
    assert wrapped("a micontrol-like --very-long-option", 20) == "a micontrol-like\n  --very-long-option"


@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(st.sampled_from(["a", "b/", "猫", " ", "\n", " mi", " --x"]), max_size=60), width=st.integers(8, 40)
)
def test_no_word_is_lost_or_broken_and_only_wide_words_make_wide_lines(words: list[str], width: int) -> None:
    text = "".join(words)
    shown = wrapped(text, width)
    assert shown.split() == text.split()
    wide = [line for line in shown.split("\n") if cell_len(line.rstrip(" ")) > width]
    assert all(" " not in line.strip(" ") and cell_len(line.strip(" ")) > width for line in wide)
    assert wrapped(shown, width).split() == text.split()


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal of 30 columns."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 30))
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def test_what_is_no_terminal_gets_the_line_as_it_is(terminal: tuple[int, int]) -> None:
    text = "Error: a message of more than thirty columns.\n"
    with os.fdopen(os.dup(terminal[1]), "w") as stream:
        assert wrapped_for(text, stream) == "Error: a message of more than\n  thirty columns.\n"
    assert wrapped_for(text, io.StringIO()) == text
    with Path(os.devnull).open("w") as stream:
        assert wrapped_for(text, stream) == text


@pytest.mark.parametrize("wraps", [True, False])
def test_the_stream_of_messages_wraps(terminal: tuple[int, int], wraps: bool) -> None:
    with EscapingStream(os.fdopen(os.dup(terminal[1]), "wb"), encoding="utf-8") as stream:
        stream.wraps = wraps
        stream.write("Note: no controller\x07 has made a pass yet\n")
    lines = (
        ["Note: no controller\\x07 has", "  made a pass yet"]
        if wraps
        else ["Note: no controller\\x07 has made a pass yet"]
    )
    assert os.read(terminal[0], 999).decode().splitlines() == lines
