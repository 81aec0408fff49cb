"""A log is followed by windows of its end: nothing is printed twice, nothing is left out unsaid."""

from __future__ import annotations

import random

import pytest

from mitorch_service.insights.training.growing_text import GrowingText

SIZE = 1000  # of a window


@pytest.mark.parametrize("seed", range(20))
def test_the_parts_are_the_whole(seed: int) -> None:
    draw = random.Random(seed)
    lines = [f"{number} {'x' * draw.randrange(60)}\n" for number in range(400)]
    text, log, seen = GrowingText(), "", ""
    for line in lines:
        log += line[: len(line) // 2]
        seen += text.add(log[-SIZE:]) if draw.random() < 0.3 else ""
        log += line[len(line) // 2 :]
        seen += text.add(log[-SIZE:]) if draw.random() < 0.3 else ""
    seen += text.add(log[-SIZE:]) + text.rest()
    assert seen == log


def test_lines_come_whole() -> None:
    text = GrowingText()
    assert text.add("one\ntw") == "one\n"
    assert text.add("one\ntwo\nthree\r") == "two\nthree\r"
    assert text.add("one\ntwo\nthree\rend") == ""
    assert (text.rest(), text.rest()) == ("end", "")


def test_a_torn_character_at_the_beginning_of_a_window_matters_not() -> None:
    text, line = GrowingText(), "é" * 399 + "\n"
    content = (line * 3).encode()
    text.add(content[-1000:].decode("utf-8", "replace"))
    content += b"new\n"
    assert text.add(content[-999:].decode("utf-8", "replace")) == "new\n"


def test_what_was_printed_too_fast_is_said_to_be_left_out() -> None:
    text = GrowingText()
    text.add("a" * 99 + "\n")
    assert text.add("b" * 999 + "\n") == f"… (more was printed than is read at a time)\n{'b' * 999}\n"
