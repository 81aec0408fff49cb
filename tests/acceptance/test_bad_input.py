"""Users' mistakes give a clear error with the field, the value and the remedy, and change nothing."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Machine
from tests.acceptance.digits import TINY_SEARCH, TINY_TRAINING
from tests.small_disk import tmpfs

FILES: dict[str, tuple[str | bytes, str]] = {
    "an empty file": ("", "is empty"),
    "JSON5": ("{model: 'x', // no\n}", "line 1, column 2.*no comments"),
    "a list": (json.dumps([TINY_TRAINING]), "must be a JSON object"),
    "5 MB": (json.dumps({"model": "x" * 5_000_000}), "a config has at most 1 MB"),
    "not text": (b"\xff\xfe\x00\x01", "not UTF-8"),
    "a key twice": ('{"model": 1, "model": 2}', "'model' appears twice"),
    "NaN": ('{"max_epochs": NaN}', "NaN is not a JSON number"),
    "an unknown key": (
        json.dumps({**TINY_TRAINING, "optimzer": {}}),
        "optimzer: unknown key; did you mean 'optimizer'",
    ),
    "a wrong value": (json.dumps({**TINY_TRAINING, "max_epochs": 0}), r"max_epochs: .*\(it is 0\)"),
    "an unknown model": (
        json.dumps({**TINY_TRAINING, "model": {"name": "resnet81"}}),
        "model.name: timm has no model 'resnet81'; did you mean",
    ),
    "an unknown data set": (
        json.dumps({**TINY_TRAINING, "dataset": "digitz"}),
        "dataset: 'digitz' is not registered; did you mean 'digits:1'.* registered: digits:1",
    ),
    "an unknown base": (
        json.dumps({**TINY_TRAINING, "base": "00000000-0000-4000-8000-000000000000"}),
        "base: there is no training",
    ),
    "an unknown expression": (
        json.dumps({**TINY_SEARCH, "config": {**TINY_TRAINING, "batch_size": {"_choise": [1]}}}),
        "config.batch_size: _choise is no expression; known: _choice",
    ),
    "an option that is wrong": (
        json.dumps({**TINY_SEARCH, "config": {**TINY_TRAINING, "batch_size": {"_choice": [32, -1]}}}),
        r"config.batch_size: .*\(it is -1\)",
    ),
    "a range beyond what is allowed": (
        json.dumps({**TINY_SEARCH, "config": {**TINY_TRAINING, "batch_size": {"_int": [0, 10]}}}),
        r"config.batch_size: .*\(it is 0\)",
    ),
    "nothing to search": (json.dumps({**TINY_SEARCH, "config": TINY_TRAINING}), "there is nothing to search"),
    "an unknown objective": (
        json.dumps({**TINY_SEARCH, "search": {"max_trials": 2, "objective": "accuracy"}}),
        "search.objective: 'accuracy' is not measured; .*top1_accuracy",
    ),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """One furnished machine for all files: none of them may change it."""
    from tests.acceptance.conftest import _furnish

    return _furnish(Machine(tmp_path_factory.mktemp("machine"), {}))


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_file_is_refused_and_nothing_is_queued(shared: Machine, name: str) -> None:
    content, expected = FILES[name]
    data = content if isinstance(content, bytes) else content.encode()
    (shared.folder / "wrong.json").write_bytes(data)
    answer = shared.run("submit", "wrong.json")
    assert answer.code == 2, answer
    assert "Traceback" not in answer.err
    assert re.search(expected, answer.err, re.DOTALL), answer.err
    assert shared.run("query", "--json").json["trainings"] == []
    assert shared.run("control", "status", "--json").json["jobs"] == []


def test_all_errors_are_told_at_once(machine: Machine) -> None:
    wrong = {**TINY_TRAINING, "max_epochs": "many", "dataset": "nope", "modle": 1, "batch_size": -3}
    answer = machine.run("submit", machine.write("wrong.json", wrong))
    assert "4 problems" in answer.err
    assert all(word in answer.err for word in ("max_epochs", "nope", "modle", "batch_size"))


def test_a_file_that_is_not_there(machine: Machine) -> None:
    answer = machine.run("submit", "nowhere.json")
    assert (answer.code, "nowhere.json" in answer.err) == (2, True)


def test_a_prefix_of_two_trainings_names_both(machine: Machine) -> None:
    ids = [machine.ok("submit", "training.json") for _ in range(17)]  # of 16 first characters, one comes twice
    firsts = [id[0] for id in ids]
    twice = next(first for first in firsts if firsts.count(first) > 1)
    answer = machine.run("query", twice)
    assert answer.code == 2
    assert sum(id in answer.err for id in ids if id[0] == twice) == min(firsts.count(twice), 5)  # so many are shown
    assert machine.run("query", "zzz").code == 1


def test_the_same_file_twice_gives_two_trainings(machine: Machine) -> None:
    assert machine.ok("submit", "training.json") != machine.ok("submit", "training.json")
    assert machine.run("query", "--json").json["counts"] == {"new": 2}


def test_explain_queues_nothing(machine: Machine) -> None:
    out = machine.ok("submit", machine.write("search.json", TINY_SEARCH), "--explain")
    assert "2 trials" in out
    assert "lr_scheduler.base_lr" in out
    assert machine.run("query", "--json").json["trainings"] == []


DATA: dict[str, tuple[str, Any, str]] = {
    "a missing image": ("train.txt", "images.zip@train/none.png 1\n", r"images? is missing: images.zip@train/none.png"),
    "a label beyond labels.txt": ("train.txt", "images.zip@train/0000.png 10\n", "label 10 is beyond labels.txt"),
    "a line without a label": ("train.txt", "alone\n", "line 1: 'alone' is not"),
    "a zip that is none": ("images.zip", b"PK but not really", "images.zip cannot be read"),
    "an empty split": ("val.txt", "", "names no image"),
}


@pytest.mark.parametrize("name", DATA)
def test_a_damaged_data_set_is_not_registered(machine: Machine, name: str) -> None:
    file, content, expected = DATA[name]
    path = machine.folder / "digits" / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    definition = json.loads((machine.folder / "digits" / "digits.json").read_text())
    definition[0]["version"] = 2
    machine.write("digits/second.json", definition)
    answer = machine.run("dataset", "register", "digits/second.json")
    assert answer.code == 2
    assert re.search(expected, answer.err), answer.err
    assert "digits  2" not in machine.ok("dataset", "list")


def test_a_truncated_image_fails_its_training_by_name(machine: Machine) -> None:
    folder = machine.folder / "files"
    folder.mkdir()
    from zipfile import ZipFile

    lines = (machine.folder / "digits" / "train.txt").read_text().splitlines()[:40]
    with ZipFile(machine.folder / "digits" / "images.zip") as archive:
        for index, line in enumerate(lines):
            png = archive.read(line.split("@")[1].split()[0])
            (folder / f"{index}.png").write_bytes(png[:-30] if index == 7 else png)
    (folder / "all.txt").write_text("".join(f"{i}.png {line.split()[-1]}\n" for i, line in enumerate(lines)))
    part = {"path": "all.txt", "support_files": []}
    machine.write("files/def.json", [{"name": "cut", "version": 1, "train": part, "val": part}])
    machine.ok("dataset", "register", "files/def.json")
    training = machine.ok("submit", "training.json", "--dataset", "cut")
    machine.run("control", "run", "--until-idle", "--every", "0.3")
    error = machine.query(training)["error"]
    assert "7.png" in error["message"], error


def test_a_database_that_is_none_is_a_plain_error(bare_machine: Machine) -> None:
    bare_machine.write("mitorch.db", "garbage " * 1000)
    for command in (["query"], ["control"], ["dataset", "list"]):
        answer = bare_machine.run(*command, MITORCH_DB_URI="sqlite:///mitorch.db")
        assert answer.code == 1
        assert "not a database" in answer.err
        assert "Traceback" not in answer.err
    assert "Traceback" in bare_machine.run("query", "--debug", MITORCH_DB_URI="sqlite:///mitorch.db").err


@pytest.mark.skipif(os.geteuid() != 0, reason="a read-only mount needs root")
def test_a_read_only_home_is_a_plain_error(bare_machine: Machine, tmp_path: Path) -> None:
    import subprocess

    with tmpfs(tmp_path / "readonly", "1m") as home:
        subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True)
        script = bare_machine.write("script.json", {"script": {"command": ["true"]}})
        for command in (["query"], ["control"], ["submit", script]):
            answer = bare_machine.run(*command, MITORCH_HOME=str(home / "mitorch"))
            assert answer.code in (1, 2)
            assert "MITORCH_HOME" in answer.err
            assert "Traceback" not in answer.err


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system needs root")
def test_a_full_disk_under_the_log_does_not_end_the_training(machine: Machine) -> None:
    """Runs are on a disk with room for a few files; database and artifacts are elsewhere."""
    (machine.home / "runs").mkdir(parents=True, exist_ok=True)
    (machine.home / "runs").rmdir()
    with tmpfs(machine.home / "runs", "160k") as runs:
        (runs / "ballast").write_bytes(b"x" * 30_000)
        training = machine.ok("submit", "training.json")
        machine.ok("control")
        machine.run_process(training)
        with (runs / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                assert True  # full now
        machine.run("control", "run", "--until-idle", "--every", "0.3")
        document = machine.query(training)
        assert document["status"] == "completed"
        assert [result["epoch"] for result in document["curve"]] == [1, 2]


def test_a_wrong_setting_names_its_variable(bare_machine: Machine) -> None:
    answer = bare_machine.run("query", MITORCH_DB_URI="postgres://x")
    assert (answer.code, "MITORCH_DB_URI" in answer.err) == (2, True)
    answer = bare_machine.run("control", MITORCH_CLUSTERS='[{"name": "a", "kind": "cloud"}]')
    assert (answer.code, "MITORCH_CLUSTERS" in answer.err) == (2, True)
