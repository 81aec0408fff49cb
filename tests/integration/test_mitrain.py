"""mitrain and mitest as a person runs them; one in a process of its own, the rest in this one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from mitorch_service.cli import test as mitest
from mitorch_service.cli import train as mitrain
from mitorch_service.errors import DataError, InvalidInput, ModelError
from mitorch_service.models.config.training_config import metrics_for
from mitorch_service.training.networks.weights import read_weights
from tests.unit.training.pictures import write_colors
from tests.warm.command import with_warm_code

CONFIG: dict[str, Any] = {
    "model": {"name": "test_resnet", "input_size": 16},
    "lr_scheduler": {"name": "cosine", "base_lr": 0.01},
    "augmentation": {"train": "resize", "val": "resize"},
    "batch_size": 8,
    "max_epochs": 2,
}

# mitrain; says after each step what is imported of the packages that only evaluations and their pictures need.
_WATCHED = """
import sys
from mitorch_service.cli.train import command
from mitorch_service.cli.views.training_progress import PlainReporter

def watch(*_):
    late = ("torchmetrics", "matplotlib", "tensorboard", "faster_coco_eval")
    print("imported:", [name for name in late if name in sys.modules])

PlainReporter.step_ended = watch
command()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: c.json, train.txt, val.txt."""
    write_colors(tmp_path, 24)
    write_colors(tmp_path, 9, "val")
    write_config(tmp_path, CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_config(folder: Path, config: Any) -> None:
    (folder / "c.json").write_text(json.dumps(config))


def train(*arguments: str) -> Result:
    return CliRunner().invoke(mitrain.command, ["c.json", "train.txt", "val.txt", *arguments])


def evaluate(*arguments: str) -> Result:
    return CliRunner().invoke(mitest.command, ["c.json", "val.txt", *arguments])


def test_trains_writes_and_evaluates(folder: Path) -> None:
    trained = train("-o", "m.pth")
    assert trained.exception is None
    lines = trained.output.splitlines()
    assert lines[0].startswith("24 images in 3 steps, 9 for validation, 3 classes, ")
    assert lines[1].startswith("epoch 1/2  train_loss ")
    assert [word for word in lines[2].split() if word.isidentifier()] == [
        "epoch", "train_loss", "val_loss", *metrics_for("multiclass_classification", 3)[:4], "s",
    ]  # fmt: skip
    assert lines[2].endswith(" images/s")
    assert lines[-1] == "weights  m.pth"
    weights = torch.load(folder / "m.pth", weights_only=True)
    assert weights["state_dict"]["fc.weight"].shape[0] == 3
    assert weights["classes"] == ["red", "lime", "blue"]

    measured = json.loads(evaluate("-w", "m.pth", "--json").output)
    assert set(measured) == {"test_loss", *(f"test_{name}" for name in metrics_for("multiclass_classification", 3))}
    assert f"val_loss                 {measured['test_loss']:.4f}" in lines
    assert f"test_loss                {measured['test_loss']:.4f}" in evaluate("-w", "m.pth").output

    again = train("-d", "-w", "m.pth")
    assert "Weights from m.pth: 92 tensors loaded" in again.output
    assert "epoch 1/1" in again.output


@pytest.mark.long
def test_starts_as_a_process_whose_first_step_waits_for_nothing_that_only_evaluations_need(folder: Path) -> None:
    write_config(folder, CONFIG | {"max_epochs": 1})
    arguments = [sys.executable, "-c", _WATCHED, "c.json", "train.txt", "val.txt", "-o", "m.pth"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[1:4] == ["imported: []"] * 3
    assert lines[4].startswith("epoch 1/1  train_loss")
    assert lines[-1] == "weights  m.pth"
    assert done.stderr == ""


@pytest.mark.parametrize("module", ["train", "test"])
def test_help_imports_nothing_heavy(module: str) -> None:
    code = (
        f"import sys; from mitorch_service.cli.{module} import command; command(['--help'], standalone_mode=False); "
        "print([m for m in ('torch', 'pydantic', 'rich', 'timm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_all_problems_of_a_config_are_told_at_once(folder: Path) -> None:
    write_config(folder, CONFIG | {"batch_size": 0, "max_epoch": 3})
    error = train().exception
    assert isinstance(error, InvalidInput)
    assert {problem.path for problem in error.problems} == {"batch_size", "max_epoch"}

    write_config(
        folder,
        CONFIG | {"model": {"name": "resnet81"}, "augmentation": {"val": {"name": "resize", "options": {"a": 1}}}},
    )
    error = train().exception
    assert isinstance(error, InvalidInput)
    assert {problem.path for problem in error.problems} == {"model.name", "augmentation.val[0].options.a"}


def test_what_is_for_the_service_is_refused_with_a_hint(folder: Path) -> None:
    write_config(folder, {"job_type": "search", "config": CONFIG})
    assert "queue it with misubmit" in str(train().exception)
    write_config(folder, CONFIG | {"base": "6b26cc0c-3a72-558b-bf3c-c1c4c42eee99"})
    assert "give its weights with -w" in str(train().exception)


def test_an_output_that_cannot_be_written_is_told_before_the_training(folder: Path) -> None:
    result = train("-o", "train.txt/m.pth")
    assert isinstance(result.exception, InvalidInput)
    assert result.output == ""


def test_missing_images_are_told_before_the_training(folder: Path) -> None:
    (folder / "val" / "3.png").unlink()
    result = train()
    assert isinstance(result.exception, DataError)
    assert "1 of 9 images is missing: val/3.png" in str(result.exception)
    assert result.output == ""


def test_weights_that_are_none(folder: Path) -> None:
    assert isinstance(train("-w", "c.json").exception, ModelError)
    assert isinstance(evaluate("-w", "absent.pth").exception, ModelError)
    assert "Missing option" in evaluate().output


def test_a_batch_of_one_image_is_told_where_the_network_takes_more(folder: Path) -> None:
    write_config(folder, CONFIG | {"batch_size": 1})
    result = train()
    assert isinstance(result.exception, InvalidInput)
    assert "batch_size: leaves one image for a step" in str(result.exception)


def test_a_training_that_is_killed_goes_on_when_it_is_started_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)  # as in the other process: sums over another number of threads have other last bits
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_config(folder, CONFIG | {"max_epochs": 4})
    whole = train("-o", "whole.pth")
    code = "from mitorch_service.cli.train import command; command()"
    arguments = [sys.executable, "-c", code, "c.json", "train.txt", "val.txt", "-o", "cut.pth", "--evict-at", "2.5"]
    environment = with_warm_code(os.environ)
    killed = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    again = train("-o", "cut.pth")
    assert "Resuming from a checkpoint: epoch 3, step 1." in again.output
    assert figures(killed.stdout) + figures(again.output) == figures(whole.output)
    weights, expected = (read_weights(folder / name).state_dict for name in ("cut.pth", "whole.pth"))
    assert all(torch.equal(weights[name], tensor) for name, tensor in expected.items())
    assert not (folder / "cut.pth.checkpoints").exists()
    assert (folder / "cut.pth.plots" / "curves.png").exists()


def test_what_somebody_has_put_beside_checkpoints_stays(folder: Path) -> None:
    (folder / "w.pth.checkpoints").mkdir()
    (folder / "w.pth.checkpoints" / "mine.txt").touch()
    assert train("-o", "w.pth").exit_code == 0
    assert [path.name for path in (folder / "w.pth.checkpoints").iterdir()] == ["mine.txt"]


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def figures(output: str) -> list[str]:
    """The epochs' lines, without what the clock says."""
    return [line.rpartition("  ")[0].rpartition("  ")[0] for line in output.splitlines() if line.startswith("epoch ")]


def test_a_drill_needs_a_place_for_checkpoints(folder: Path) -> None:
    assert "--evict-at: needs -o OUTPUT" in str(train("--evict-at", "1").exception)
    assert "and no -d" in str(train("--evict-at", "1", "-o", "w.pth", "-d").exception)


def test_a_drill_after_the_end_is_refused(folder: Path) -> None:
    assert "it has 2 epochs" in str(train("--evict-at", "2", "-o", "w.pth").exception)


@pytest.mark.long
def test_a_drill_of_two_processes_kills_the_first(folder: Path) -> None:
    here = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1"}
    code = "from mitorch_service.cli.train import command; command()"
    command = [sys.executable, "-c", code, "c.json", "train.txt", "val.txt", "-o", "w.pth", "--evict-at", "1.5"]
    started = [
        subprocess.Popen(command, env={**with_warm_code(os.environ), **here, "RANK": str(rank)}, stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in started]
    assert started[0].returncode == -signal.SIGKILL, errors
    assert "Resuming from a checkpoint: epoch 2, step 1." in train("-o", "w.pth").output
