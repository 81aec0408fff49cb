"""Completion by the shell, and the help that every command gives."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import Machine


def completed(machine: Machine, line: str) -> list[str]:
    """Returns the words that bash offers for the last word of the line."""
    environment = {"_MITORCH_COMPLETE": "bash_complete", "COMP_WORDS": line}
    answer = machine.run("x", **environment)
    assert (answer.code, answer.err) == (0, "")
    return [item.partition(",")[2] for item in answer.out.splitlines() if item]


def test_commands_options_ids_and_names(machine: Machine) -> None:
    training = machine.ok("submit", "training.json")
    assert completed(machine, "mitorch que") == ["query"]
    assert completed(machine, "mitorch control ca") == ["cancel"]
    assert "--status" in completed(machine, "mitorch query --s")
    assert completed(machine, "mitorch query --status co") == ["completed"]
    for command in ("query", "control cancel", "control logs", "control tag", "control name"):
        assert completed(machine, f"mitorch {command} {training[:3]}") == [training]
        assert completed(machine, f"mitorch {command} ") == [training]
    assert completed(machine, f"mitorch control cancel {training} {training[:3]}") == [training]
    for command in ("predict", "export"):
        assert completed(machine, f"mitorch {command} {training[:3]}")[0] == training  # and files
    assert completed(machine, "mitorch query --job ") == []
    assert completed(machine, "mitorch query --sort -creat") == ["-created"]
    machine.ok("submit", "training.json", "--name", "night run")
    assert completed(machine, "mitorch query ni") == ["night\\ run"]
    assert completed(machine, "mitorch import m") == ["mlflow"]
    assert completed(machine, "mitorch import mlflow x --axis s") == ["step"]
    assert completed(machine, "mitorch query --dataset d") == ["digits:1"]
    assert completed(machine, "mitorch dataset show d") == ["digits:1"]
    assert completed(machine, "mitorch dataset show digits:") == ["1"]  # bash breaks words at colons
    assert completed(machine, "mitorch query --dataset=digits:") == ["1"]


def test_what_goes_wrong_completes_nothing_and_creates_nothing(bare_machine: Machine) -> None:
    assert completed(bare_machine, "mitorch query ") == []
    assert not bare_machine.home.exists()
    bare_machine.environment["MITORCH_DB_URI"] = "nonsense"
    assert completed(bare_machine, "mitorch query ") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(bare_machine: Machine, shell: str) -> None:
    script = bare_machine.ok("completion", shell)
    for program in ("mitorch", "misubmit", "miquery", "midataset", "micontrol", "mitrain", "mitest", "mipredict"):
        assert f"_{program.upper()}_COMPLETE={shell}_complete" in script
    if shutil.which(shell) is not None:
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_bash_completes_by_the_script(bare_machine: Machine) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = (
        'eval "$(cat)"; COMP_LINE="mitorch control stat x"; COMP_POINT=20; _mitorch_completion mitorch;'
        ' echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script],
        input=bare_machine.ok("completion", "bash"),
        text=True,
        capture_output=True,
        check=True,
        env={**bare_machine.environment, "PATH": path},
    )
    assert done.stdout == "status\n"


def test_versions_and_short_help(bare_machine: Machine) -> None:
    for command in ([], ["query"], ["control"]):
        assert bare_machine.ok(*command, "--version").startswith("mitorch-service ")
        assert bare_machine.ok(*command, "-h") == bare_machine.ok(*command, "--help")
    assert bare_machine.ok("control", "cancel", "-h").startswith("Usage:")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("sumbit", "'submit'"),
        ("cancel", "'mitorch control cancel'"),
        ("registr", "'mitorch dataset register'"),
        ("control statsu", "'status'"),
        ("control submit", "'mitorch submit'"),
        ("dataset lst", "'list'"),
        ("dataset datastore lit", "'list'"),
        ("query --columsn name", "'--columns'"),
    ],
)
def test_a_mistyped_command_names_the_nearest(bare_machine: Machine, words: str, meant: str) -> None:
    answer = bare_machine.run(*words.split())
    assert answer.code == 2
    assert f"Did you mean {meant}?" in answer.err, answer.err
