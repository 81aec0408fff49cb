"""Reading makes nothing: a mistyped path is told, and leaves no database or folder behind."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import Machine

ID = "0a1b2c3d"
READING = (
    ("query",),
    ("query", ID),
    ("query", "--json"),
    ("dataset", "list"),
    ("dataset", "show", "digits"),
    ("dataset", "remove", "digits:1"),
    ("control", "status"),
    ("control", "status", "--cost"),
    ("control", "logs", ID),
    ("control", "cancel", ID),
    ("control", "retry", ID),
    ("control", "delete", ID),
    ("control", "prune", "--older-than", "30d", "--dry-run"),
)


def test_a_mistyped_path_is_told_and_nothing_is_made(bare_machine: Machine) -> None:
    path = bare_machine.folder / "mistyped" / "mitorch.db"
    for command in READING:
        answer = bare_machine.run(*command, MITORCH_DB_URI=f"sqlite:///{path}")
        assert (answer.code, "there is none yet" in answer.err, str(path) in answer.err) == (1, True, True), answer
    answer = bare_machine.run("query", MITORCH_HOME=str(path.parent))
    assert (answer.code, "MITORCH_HOME" in answer.err) == (1, True), answer
    assert not path.parent.exists()
    assert not bare_machine.home.exists()


@pytest.mark.parametrize("command", [("query",), ("dataset", "list"), ("control", "status"), ("doctor",)])
def test_before_the_first_submission_reading_shows_nothing_and_makes_no_home(
    bare_machine: Machine, command: tuple[str, ...]
) -> None:
    bare_machine.ok(*command)
    assert not bare_machine.home.exists()


def test_what_is_refused_makes_no_home(bare_machine: Machine) -> None:
    """Neither text that is no JSON, nor a config that is wrong, nor a file that is no archive."""
    for name, text, command in (
        ("text.json", "{", ("submit",)),
        ("config.json", '{"task_type": "classification", "model": "resnet18", "max_epoch": 3}', ("submit",)),
        ("archive.gz", "none", ("control", "restore")),
    ):
        (bare_machine.folder / name).write_text(text)
        answer = bare_machine.run(*command, name)
        assert answer.code == 2, answer
        assert not bare_machine.home.exists(), name


def test_the_doctor_says_that_there_is_no_database_yet(bare_machine: Machine) -> None:
    path = bare_machine.folder / "team" / "mitorch.db"
    answer = bare_machine.run("doctor", MITORCH_DB_URI=f"sqlite:///{path}")
    assert "ok    database: " in answer.out and "the first misubmit" in answer.out
    assert not path.parent.exists()
    answer = bare_machine.run("doctor", MITORCH_DB_URI="sqlite:////dev/null/mitorch.db")
    assert "FAIL  database: " in answer.out
