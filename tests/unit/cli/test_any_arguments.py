"""Whatever arguments a command is given, it ends with 0, 1 or 2, in our own words; what is refused changes nothing."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitorch_service.cli.main import call, load
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import TrainingFilter
from mitorch_service.wiring import open_store
from tests.samples import CONFIG, NOW, a_dataset, a_job, a_training

TRAINING, JOB = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"
WORDS = (
    *("", " ", "-", "--", ":", "digits", "digits:1", "digits:", "digits:99999999999999999999", "a=b", "=", "a=", "0"),
    *(
        "-1",
        "1.5",
        "nan",
        "inf",
        "1e999",
        "1e300",
        "9" * 5000,
        "180d",
        "9" * 7 + "m",
        "new",
        "failed",
        "x" * 256,
        "é" * 200,
    ),
    *(
        "x" * 256,
        "é" * 200,
        "x" * 5000,
        "/dev/null",
        ".",
        "..",
        "/",
        "training.json",
        "job.json",
        "text.txt",
        "folder",
        "old.jsonl.gz",
    ),
    *("nowhere/x", "a\nb", "\x1b[31m", "\udcff", "*", "%s", "{}", TRAINING, JOB, TRAINING[:2], "1", "g"),
)
ENDLESS = {"--watch", "--follow", "--wait"}
LEFT_OUT = {
    ("control", "run"),
    ("viewer",),
    ("run",),
}  # without an end; what only backends start, with signals of its own


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that has no commands below it."""

    def below(path: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        if isinstance(command, click.Group):
            for name, child in command.commands.items():
                yield from below((*path, name), child)
        elif path not in LEFT_OUT:
            yield path, command

    from mitorch_service.cli.main import COMMANDS

    for name in COMMANDS:
        yield from below((name,), load(name))


ALL = dict(commands())


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """A command with any arguments and options, in any order."""
    path = draw(st.sampled_from(sorted(ALL)))
    options = [p for p in ALL[path].params if isinstance(p, click.Option) and not ENDLESS & set(p.opts)]
    text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
    word = st.one_of(st.sampled_from(WORDS), st.sampled_from((TRAINING, JOB, "training.json")), text)
    parts: list[list[str]] = [[value] for value in draw(st.lists(word, max_size=3))]
    for option in draw(st.lists(st.sampled_from(options), max_size=3)) if options else ():
        parts.append([option.opts[0]] if option.is_flag else [option.opts[0], draw(word)])
    return [*path, *(one for part in draw(st.permutations(parts)) for one in part)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The database of a home with a training and a job that have ended; there are files in the working folder."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MITORCH_HOME", str(folder / "home"))
        (folder / "folder").mkdir()
        (folder / "text.txt").write_text("one\n")
        (folder / "training.json").write_text(json.dumps({**CONFIG, "dataset": "digits"}))
        (folder / "job.json").write_text(json.dumps({"job_type": "search", "config": CONFIG, "search": {}}))
        store = open_store(read_settings(), create=True)
        store.datasets.add_dataset(a_dataset())
        ended = {"status_times": {"failed": NOW}}
        store.queue.add_trainings([a_training(id=TRAINING, status=TrainingStatus.FAILED, **ended)])
        store.jobs.add_job(a_job(id=JOB, status=JobStatus.FAILED, **ended))
        yield store
        store.close()


@settings(max_examples=100)
@given(arguments=lines())
def test_any_arguments(store: Store, arguments: list[str]) -> None:
    before = contents(store)
    code, out, err = called(arguments)
    codes = (0, 1, 2, 10) if "no queue is configured" in err else (0, 1, 2)  # 10: as VoTT-train's daemon ends
    assert code in codes, (code, out, err)
    assert "bug of mitorch-service" not in err, err
    assert "Traceback" not in err or "--debug" in arguments
    assert (code == 0) or err or out
    if code == 2 or (code == 1 and not out):
        assert contents(store) == before


def called(arguments: list[str]) -> tuple[int, str, str]:
    """The exit code, and what is printed."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape", write_through=True) for _ in range(2))
    program, *rest = arguments
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
        patch.setattr(sys, "argv", [program, *rest])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = call(load(program), f"mi{program}", rest)
    said = [stream.buffer.getvalue().decode("utf-8", "replace") for stream in (out, err)]
    return code, said[0], said[1]


def contents(store: Store) -> Any:
    """Returns the content of the database."""
    return (
        store.trainings.list_trainings(TrainingFilter(), 100),
        store.jobs.list_jobs(100),
        store.datasets.list_datasets(),
    )
