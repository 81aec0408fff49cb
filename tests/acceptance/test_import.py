"""`mitorch import`, as people call it."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from tests.acceptance.conftest import Machine
from tests.documents import block
from tests.foreign_runs.fixtures import unpack


@pytest.fixture
def work(bare_machine: Machine) -> Machine:
    """Somebody with runs of all tools, where these put them."""
    folder = bare_machine.folder
    shutil.move(unpack("mlflow", folder / "1") / "mlflow.db", folder / "mlflow.db")
    shutil.move(unpack("tensorboard", folder / "2"), folder / "runs")
    shutil.move(unpack("wandb", folder / "3") / "wandb", folder / "wandb")
    (folder / ".cache" / "huggingface").mkdir(parents=True)
    shutil.move(unpack("trackio", folder / "4"), folder / ".cache" / "huggingface" / "trackio")
    shutil.move(unpack("neptune", folder / "5"), folder / ".neptune")
    return bare_machine


def test_the_commands_of_the_document(work: Machine) -> None:
    printed = []
    for line in block("docs/import.md", "mitorch import").splitlines():
        program, *arguments = shlex.split(line.replace("~", str(work.folder)))
        names = {"mitorch": arguments, "miquery": ["query", *arguments]}
        printed.append(work.ok(*names[program]))
    assert "3 runs would be imported (nothing was changed)" in printed[0]
    assert "1 run without an end left out" in printed[1]
    assert "imported=mlflow" in printed[-1]
    assert len(json.loads(work.ok("query", "--json"))["trainings"]) == 3 + 3 + 4 + 2 + 3


def test_one_that_was_imported(work: Machine) -> None:
    report = json.loads(work.ok("import", "mlflow", "mlflow.db", "--json", "--tag", "team=a"))
    assert (report["present"], report["damaged"], report["empty"]) == (0, [], [])
    assert [one["reason"] for one in report["unfinished"]] == ["its status in mlflow is RUNNING"]
    ids = {one["name"]: one["id"] for one in report["imported"]}
    page = work.ok("query", ids["first größer"])
    assert "of digits ü" in page
    assert "1 system metric point" in page
    assert f"{work.folder}/mlflow.db, run " in page
    assert "resnet18" in page
    assert "node hours" not in page
    assert "train/loss: train_loss" in page
    assert "team=a" in work.ok("query", "--tag", "team=a")
    assert "lr" in work.ok("query", ids["first größer"], ids["epochs"])  # compared
    refused = work.run("control", "retry", ids["failed"])
    assert refused.code == 1
    assert "is imported from mlflow: it cannot be retried. Nothing here can run it" in refused.err
    assert "nothing to retry" in work.ok("control", "retry", "--status", "failed")
    assert "its status in mlflow is FAILED" in work.ok("query", ids["failed"], "--why")
    assert "It was imported from mlflow, which has its log." in work.run("control", "logs", ids["failed"]).err
    work.ok("control")  # a pass finds nothing to do
    assert json.loads(work.ok("import", "mlflow", "mlflow.db", "--json", "--unfinished"))["present"] == 3
    work.ok("control", "delete", ids["failed"])
    again = json.loads(work.ok("import", "mlflow", "mlflow.db", "--json"))
    assert [one["id"] for one in again["imported"]] == [ids["failed"]]


def test_damage_and_wrong_usage(work: Machine, tmp_path: Path) -> None:
    file = next((work.folder / "wandb").rglob("*.wandb"))
    file.write_bytes(file.read_bytes()[:200] + b"x" * 20 + file.read_bytes()[220:])
    answer = work.run("import", "wandb", "wandb")
    assert answer.code == 1
    assert "3 runs imported" in answer.out
    assert f"{file.relative_to(work.folder)}: {file.name} is damaged at byte " in answer.err
    for arguments, words in (
        (("mlflw", "mlflow.db"), "did you mean"),
        (("mlflow", "nowhere"), "does not exist"),
        (("neptune", "runs"), "holds no runs of neptune; name a folder .neptune"),
        (("mlflow", "mlflow.db", "--tag", "team"), "team"),
        (("mlflow", "mlflow.db", "--points", "0"), "--points"),
    ):
        wrong = work.run("import", *arguments)
        assert (wrong.code, wrong.out) == (2, ""), arguments
        assert words in wrong.err
