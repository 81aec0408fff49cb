"""Logs keep their beginning and their end, whatever is written."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mitorch_service.runs.bounded_log import OF_SCRIPT, BoundedLog, BoundedOutput, last_lines
from tests.hostile_text import HOSTILE, MARK, assert_not_obeyed

LIMIT = 10_000


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.Logger("bounded")
    yield logger
    for handler in logger.handlers:
        handler.close()


def check(path: Path, lines: int) -> None:
    """It is a log of the numbers from 0 on of which the middle is left out."""
    kept = path.read_text().splitlines()
    assert path.stat().st_size <= LIMIT + 100
    marks = [index for index, line in enumerate(kept) if line.endswith("a log keeps 10000 (log_limit) …")]
    assert len(marks) == 1
    head, tail = [[int(line.split()[-1]) for line in part] for part in (kept[: marks[0]], kept[marks[0] + 1 :])]
    assert head == list(range(len(head)))
    assert tail == list(range(lines - len(tail), lines))
    assert min(len(head), len(tail)) * 30 >= LIMIT / 4  # each line has 30 bytes
    missing = int(kept[marks[0]].split()[1])
    assert missing == pytest.approx(30 * (lines - len(head) - len(tail)), abs=2000)  # the earlier marks count, too


def test_a_log_keeps_its_beginning_and_its_end(logger: logging.Logger, tmp_path: Path) -> None:
    logger.addHandler(BoundedLog(tmp_path / "log.txt", LIMIT))
    for number in range(3000):
        logger.info("%05d", number)
    check(tmp_path / "log.txt", 3000)


def test_standard_output_does_where_it_is_a_file(
    logger: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "log.txt").open("a") as file:
        monkeypatch.setattr(sys, "stdout", file)
        logger.addHandler(BoundedOutput(LIMIT))
        for number in range(3000):
            logger.info("%05d", number)
    check(tmp_path / "log.txt", 3000)


def test_lines_without_end_are_bounded_too(logger: logging.Logger, tmp_path: Path) -> None:
    logger.addHandler(BoundedLog(tmp_path / "log.txt", LIMIT))
    for _ in range(20):
        logger.info("x" * 8000)
    assert (tmp_path / "log.txt").stat().st_size < 2 * LIMIT


def test_the_last_lines_of_a_long_log_are_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte, which is nowhere
        file.seek(0, 2)
        file.write(b"".join(b"line %d\n" % number for number in range(100)))
    assert last_lines(path, 20) == [f"line {number}" for number in range(80, 100)]
    path.write_text("one\ntwo\n")
    assert last_lines(path, 20) == ["one", "two"]


@pytest.mark.parametrize("output", [False, True])
def test_names_are_shown_and_begin_no_line(
    output: bool, logger: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who prints the file obeys nothing, and what seems to be a record is one."""
    path = tmp_path / "log.txt"
    with path.open("a") as file:
        monkeypatch.setattr(sys, "stdout", file)
        logger.addHandler(BoundedOutput() if output else BoundedLog(path))
        logger.warning("%s: 2 left out; the first is %s", HOSTILE, HOSTILE)
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            logger.exception("it failed")
    assert_not_obeyed(path.read_text())
    assert len([line for line in path.read_text().splitlines() if line.startswith("2")]) == 2


def test_the_output_of_a_script_stays_as_it_is(logger: logging.Logger, tmp_path: Path) -> None:
    logger.addHandler(BoundedLog(tmp_path / "log.txt"))
    line = HOSTILE.replace("\n", "").replace("\r", "")  # it comes line by line
    logger.info("%s", line, extra=OF_SCRIPT)
    with (tmp_path / "log.txt").open(newline="") as file:
        assert file.read().endswith(f" {line}\n") and MARK in line
