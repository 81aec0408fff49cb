from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mitorch_service.errors import DataError
from mitorch_service.training.data.parallel_readers import Call, results

CALLS = 60


def number_and_process(number: int) -> tuple[int, int]:
    print("what a library prints")
    return number, os.getpid()


def fail(number: int) -> int:
    if number == 40:
        raise DataError("the file is damaged")
    return number


def die_once(marker: str, number: int) -> int:
    if number == 30 and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def unpicklable(number: int) -> int:
    if number >= 40:
        raise type("Local", (Exception,), {})("not known elsewhere")
    return number


def calls(count: int = CALLS) -> Iterator[Call[tuple[int, int]]]:
    return (Call(number_and_process, (number,), here=number % 7 == 0) for number in range(count))


def test_results_come_in_order_and_from_other_processes() -> None:
    found = list(results(calls()))
    assert [number for number, _ in found] == list(range(CALLS))
    assert all(process == os.getpid() for number, process in found if number < 10 or number % 7 == 0)
    assert all(process != os.getpid() for number, process in found if number >= 10 and number % 7)


def test_few_calls_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    assert [number for number, _ in results(calls(10))] == list(range(10))


def test_an_error_comes_in_its_place_and_ends_the_processes() -> None:
    found: list[int] = []
    with pytest.raises(DataError, match="the file is damaged"):
        found.extend(results(Call(fail, (number,)) for number in range(CALLS)))
    assert not children(os.getpid())


def test_an_error_that_no_other_process_can_send_comes_too() -> None:
    with pytest.raises(Exception, match="not known elsewhere"):
        list(results(Call(unpicklable, (number,)) for number in range(CALLS)))


def test_a_killed_process_is_told_and_its_calls_made_here(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    marker = str(tmp_path / "died")
    assert list(results(Call(die_once, (marker, number)) for number in range(CALLS))) == list(range(CALLS))
    assert "A process reading the data set ended (-9); the main process reads on." in caplog.messages


def test_who_stops_reading_ends_the_processes() -> None:
    iterator = results(calls())
    for _ in range(20):
        next(iterator)
    assert children(os.getpid())
    iterator.close()  # type: ignore[attr-defined]
    assert not children(os.getpid())


READING = """
from mitorch_service.training.data.parallel_readers import Call, results
for number in results(Call(abs, (number,)) for number in range(1_000_000)):
    if number == 30:
        print("reading", flush=True)
"""


def test_the_processes_end_with_one_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", READING], stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert b"reading" in reader.stdout.readline()
        readers = children(reader.pid)
        reader.kill()
    assert readers
    deadline = time.monotonic() + 10
    while any(map(is_alive, readers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, readers))


def children(process: int) -> list[int]:
    """The processes that read for this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == process and b"parallel_readers" in command:
            found.append(int(folder.name))
    return found


def is_alive(process: int) -> bool:
    try:
        return (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
