"""scripts/simulate, in this process and with few histories."""

from __future__ import annotations

import re
import shlex
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.documents import block
from tests.simulation import chunks, many_histories
from tests.simulation.choices import Choices
from tests.simulation.chunks import Chunk, Done, Failure
from tests.simulation.histories import Histories, Outcome
from tests.simulation.simulate import main

FEW = ["--seeds", "2", "--processes", "1"]


def test_the_commands_of_the_document(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line for line in block("docs/simulation.md", "scripts/simulate").splitlines() if line.strip()]
    monkeypatch.chdir(tmp_path)
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        assert main(words if "--seed" in words else [*words, *FEW]) == 0
    assert "2 histories of" in capsys.readouterr().out


def test_a_call_goes_on_where_the_one_before_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--first", "5", "--seeds", "6", "--processes", "1", "--progress", str(tmp_path / "progress.json")]
    seen: list[int] = []

    def stopped(chunk: Chunk) -> Done:
        seen.append(chunk.first)
        if len(seen) == 2:
            signal.raise_signal(signal.SIGTERM)
        return Done(chunk.many, 250 * chunk.many, [Failure(chunk.first, "training 7 was lost", ["a line"])])

    monkeypatch.setattr(many_histories, "_CHUNK", 2)
    monkeypatch.setattr(many_histories, "run_chunk", stopped)
    assert main(words) == 130
    assert "a line\nseed 5: training 7 was lost\nstopped before seed 7" in capsys.readouterr().out
    assert main(words) == 1
    assert seen == [5, 7, 7, 9]
    out = capsys.readouterr().out
    assert "6 histories of 250 steps" in out
    assert "FAILED in 3: training # was lost (scripts/simulate --seed 5, 7, 9)" in out
    with pytest.raises(SystemExit, match="is of the seeds from 5 on"):
        main([*words, "--first", "6"])


def test_a_failure_is_shortened_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    fails = Outcome("training 7 was lost", [1, 2], 300)

    def run(self: Histories, choices: Choices, change: object = None, tracing: bool = False) -> Outcome:
        return replace(fails, lines=["a line"] * tracing)

    monkeypatch.setattr(Histories, "run", run)
    monkeypatch.setattr(chunks, "_shortened", set[str]())
    done = chunks.run_chunk(Chunk(1, 3))
    assert (done.histories, done.steps) == (3, 900)
    assert [(one.seed, one.lines) for one in done.failures] == [(1, ["a line"]), (2, ()), (3, ())]


def test_a_history_that_goes_another_way_in_sqlite_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(self: Histories, choices: Choices, change: object = None) -> Outcome:
        return Outcome(None, [], 300 if self is chunks._histories() else 301)

    monkeypatch.setattr(Histories, "run", run)
    failures = chunks.run_chunk(Chunk(199, 3)).failures
    assert [one.seed for one in failures] == [200]
    assert "another one in SQLite: 301 steps in place of 300" in failures[0].violation


def test_a_failing_seed_is_told_with_the_command_that_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--mutant", "last come, first served", "--seeds", "5", "--processes", "1"]) == 1
    out = capsys.readouterr().out
    assert "was started before" in out
    assert re.search(r"FAILED in \d+: .*\(scripts/simulate --seed \d+", out)
