"""Runs the documents' commands as a reader would: each block of commands is in tests/documents.py with its test."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mitorch_service.cli.viewer import FIRST_PORT
from scripts.write_digits import write_digits
from tests.acceptance.conftest import Machine
from tests.acceptance.digits import TINY_TRAINING, write_small_digits
from tests.documents import ROOT, block
from tests.warm.command import with_warm_code, with_warm_commands
from tests.webhook_receiver import SECRET, receiving

RUN_BY_CI = {"scripts/quickstart", "scripts/test"}


@pytest.fixture
def reader(bare_machine: Machine) -> Machine:
    """Somebody who has run scripts/quickstart: the data set, or a part of it, is there and registered."""
    definition = write_small_digits(bare_machine.home / "quickstart")
    bare_machine.ok("dataset", "register", definition)
    return bare_machine


@pytest.fixture
def photographer(bare_machine: Machine) -> Machine:
    """Somebody with a few images in folders, and the files that the README shows, with short trainings in them."""
    for split, number in (("train", 6), ("val", 3)):
        for hue, name in ((200, "cat"), (60, "dog")):
            folder = bare_machine.folder / "pictures" / split / name
            folder.mkdir(parents=True)
            for index in range(number):
                Image.new("RGB", (40, 30), (hue, 9 * index, 255 - hue)).save(folder / f"{index}.jpg")
    bare_machine.write("pictures.json", block("README.md", '[{"name": "pictures"'))
    config: dict[str, Any] = json.loads(block("README.md", '{"dataset": "pictures"'))
    config |= {"max_epochs": 2, "model": {**config["model"], "input_size": 32}}
    bare_machine.write("training.json", config)
    return bare_machine


@pytest.fixture
def shapes(bare_machine: Machine) -> Machine:
    """Somebody with the data set of docs/data.md, not yet registered, of which definitions.json is the definition."""
    with zipfile.ZipFile(bare_machine.folder / "images.zip", "w") as archive:
        for name in "abcd":
            path = bare_machine.folder / f"{name}.png"
            Image.new("RGB", (32, 32), (60 * "abcd".index(name), 9, 99)).save(path)
            archive.write(path, path.name)
    bare_machine.write("labels.txt", "square\ncircle\n")
    bare_machine.write("train.txt", "images.zip@a.png 0\nimages.zip@b.png 1\n")
    bare_machine.write("val.txt", "images.zip@c.png 0\nimages.zip@d.png 1\n")
    bare_machine.write("definitions.json", block("docs/data.md", '[{"name": "shapes"'))
    return bare_machine


def shell(machine: Machine, script: str, folder: Path = ROOT) -> str:
    """Runs a block in the repository's folder, or another; returns what it printed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**machine.environment, "PATH": path, "OMP_NUM_THREADS": "1"}  # several tests share the cores
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("source .venv/bin/activate\n", "")],
        cwd=folder,
        env=with_warm_commands(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_two_commands_are_run_by_ci() -> None:
    lines = block("README.md", "scripts/quickstart").splitlines()
    assert {line.split("#")[0].strip() for line in lines} == RUN_BY_CI
    gate = (ROOT / ".ci" / "run").read_text() + (ROOT / "scripts" / "check").read_text()
    assert all(command in gate for command in RUN_BY_CI)


def test_the_quickstart_ends_with_the_viewer_that_it_has_installed() -> None:
    script = (ROOT / "scripts" / "quickstart").read_text()
    extras = re.search(r"^scripts/venv (\S+)$", script, re.MULTILINE)
    assert extras and "viewer" in extras[1].split(",")
    last = script.splitlines()[-1]
    assert ".venv/bin/miviewer" in last and f"http://127.0.0.1:{FIRST_PORT}/" in last


def test_the_first_real_use(photographer: Machine) -> None:
    out = shell(photographer, block("README.md", "midataset register pictures.json"), photographer.folder)
    assert "ok    database: SQLite" in out
    assert "registered pictures:1" in out
    assert re.search(r"training \w{8} launched on local", out)
    assert re.search(r"completed +first +", out)


@pytest.mark.long
def test_the_first_use_without_the_service(photographer: Machine) -> None:
    out = shell(photographer, block("README.md", "mitrain training.json"), photographer.folder)
    assert "epoch 2/2" in out
    assert (photographer.folder / "pictures.pth").stat().st_size > 1_000_000
    measured, _, lines = out.rpartition("epoch 2/2")[2].partition('{"image": "pictures/val/')
    assert "top1_accuracy" in measured
    assert lines.count('"labels": [{"class": "') == 6
    assert len(list((photographer.folder / "drawn").rglob("*.jpg"))) == 6

    *predictions, torchscript, onnx = block("docs/predict.md", "mipredict pictures.pth").splitlines()
    shell(photographer, "\n".join(predictions), photographer.folder)
    out = photographer.ok(*shlex.split(torchscript)[1:])  # `mitorch` itself is not forked from what has PyTorch
    assert re.search(r"^checked on 4 images \(made up\): the largest difference is \d\.\de[-+]\d\d$", out, re.MULTILINE)
    assert onnx.startswith("mitorch export pictures.pth --to onnx --dynamic-batch")  # see test_exporting.py
    rows = (photographer.folder / "classes.csv").read_text().splitlines()
    assert (rows[0], len(rows)) == ("image,label,score", 1 + 6 * 2)
    assert len((photographer.folder / "classes.json").read_text().splitlines()) == 6
    environment = with_warm_code(photographer.environment)
    assert _python(photographer, block("README.md", "import mitorch_service"), environment).count("cat") > 0
    shown = _python(photographer, block("docs/predict.md", "import mitorch_service"), environment)
    assert shown.startswith("multiclass_classification ('cat', 'dog') ['")


def test_a_folder_of_images(photographer: Machine) -> None:
    (photographer.folder / "pictures" / "train").rename(photographer.folder / "photos")
    short = "sed -i 's/pretrained: true/pretrained: false/; s/max_epochs: [0-9]*/max_epochs: 1/' training.yaml\n"
    commands = block("docs/data.md", "mitorch init").replace("mitrain", f"{short}mitrain")
    out = shell(photographer, commands, photographer.folder)
    assert "train    mitrain training.yaml photos" in out
    assert "epoch 1/1" in out
    schema = json.loads((photographer.folder / "mitorch.schema.json").read_text())
    assert "TrainingConfig" in schema["$defs"]
    split = photographer.folder / "runs" / "photos.pth.split"
    assert [len((split / f"{name}.txt").read_text().splitlines()) for name in ("train", "val")] == [10, 2]
    again = photographer.run("init", "photos", "-o", "training.yaml")
    assert (again.code, "exists already" in again.err) == (2, True)
    refused = photographer.run("train", "training.yaml", "photos", "--val-fraction", "1")
    problem = "'--val-fraction': must be more than 0 and less than 1 (it is 1.0)"
    assert (refused.code, problem in refused.err) == (2, True)


def test_the_tour(reader: Machine) -> None:
    out = shell(reader, block("scripts/samples/README.md", "mitorch doctor"))
    assert "ok    database: SQLite" in out
    assert "An auto search on digits:1" in out
    assert re.search(r"training \w{8} launched on local", out)
    assert "mine" in out


@pytest.mark.parametrize(
    ("write", "least"),
    [
        (write_small_digits, 0.5),
        pytest.param(write_digits, 0.95, marks=pytest.mark.long),  # all of them, as the quickstart does
    ],
)
def test_training_without_the_service(
    reader: Machine, tmp_path: Path, write: Callable[[Path], Path], least: float
) -> None:
    write(reader.home / "quickstart")
    weights = tmp_path / "digits.pth"
    commands = block("scripts/samples/README.md", "data=~/.mitorch/quickstart")
    out = shell(reader, commands.replace("/tmp/digits.pth", str(weights)))
    assert "epoch 8/8" in out
    assert weights.stat().st_size > 100_000
    accuracy = float(re.findall(r"top1_accuracy[= ]+([0-9.]+)", out)[-1])
    assert accuracy > least


def test_data_sets(shapes: Machine) -> None:
    out = shell(shapes, block("docs/data.md", "midataset register"), shapes.folder)
    assert "registered shapes:1" in out
    assert "images.zip" in out
    assert "shapes" not in shapes.ok("dataset", "list")


def test_exports(shapes: Machine) -> None:
    shapes.write("boxes.txt", "1 2 3 20 25.5\n")
    for split, names in (("train", "ab"), ("val", "cd")):
        shapes.write(f"{split}.txt", "".join(f"images.zip@{name}.png boxes.txt\n" for name in names))
    shapes.ok("dataset", "register", "definitions.json")
    out = shell(shapes, block("docs/data.md", "midataset export"), shapes.folder)
    assert "exported/cvat/train/annotations.xml" in out
    lines = (shapes.folder / "exported" / "csv" / "annotations.csv").read_text().splitlines()
    assert lines == ["image,x1,y1,x2,y2,class", *(f"../yolo/val/images/{one}.png,2,3,20,25.5,circle" for one in "cd")]


def test_splits_and_leaks(bare_machine: Machine) -> None:
    lines = []
    for index in range(24):
        name = f"cam{index // 4}_{index % 4}.png"
        Image.new("RGB", (16, 12), (10 * index, 99, 200 * (index % 2))).save(bare_machine.folder / name)
        lines.append(f"{name} {index % 2}\n")
    bare_machine.write("labels.txt", "square\ncircle\n")
    bare_machine.write("all.txt", "".join(lines))
    out = shell(bare_machine, block("docs/splits.md", "midataset split"), bare_machine.folder)
    assert "groups  6, none divided" in out
    assert "registered shapes:1" in out
    assert "images that a split before has, too" in out
    assert json.loads((bare_machine.folder / "parts" / "split.json").read_text())["by"] == "group"


def test_models_and_augmentation(shapes: Machine) -> None:
    shapes.write("training.json", TINY_TRAINING)
    out = shell(shapes, block("docs/config.md", "mitrain --list-models"), shapes.folder)
    assert "resnet18-fpn-fcos" in out
    with Image.open(shapes.folder / "sheet.png") as sheet:
        assert sheet.width > 32


def test_many_at_once(reader: Machine) -> None:
    configs = [{**TINY_TRAINING, "seed": seed} for seed in range(3)]
    reader.write("configs.jsonl", "".join(json.dumps(config) + "\n" for config in configs))
    shell(reader, block("docs/config.md", "misubmit --many"), reader.folder)
    rows = json.loads(reader.ok("query", "--tag", "sweep=7", "--json"))["trainings"]
    assert [row["status"] for row in rows] == ["new"] * 3


def test_tables(reader: Machine) -> None:
    reader.write("configs.jsonl", "".join(json.dumps({**TINY_TRAINING, "seed": n}) + "\n" for n in range(3)))
    reader.ok("submit", "--many", "configs.jsonl", "--name", "cat")
    out = shell(reader, block("docs/queries.md", "miquery --where"), reader.folder)
    assert (reader.folder / "trainings.parquet").read_bytes().startswith(b"PAR1")
    for shown in (
        "none fits",
        "digits:1",
        "id,name,val_loss",
        "view 'failures' saved",
        "WHERE",
        "view 'failures' removed",
    ):
        assert shown in out


def test_a_search(shapes: Machine) -> None:
    shapes.ok("dataset", "register", "definitions.json")
    shapes.write("search.json", block("docs/search.md", '{"job_type": "search"'))
    commands = block("docs/search.md", "misubmit --explain") + 'echo "$job"\n'
    out = shell(shapes, commands, shapes.folder)
    assert "An auto search on shapes:1" in out
    assert "0 of 40" in out
    code = block("docs/optuna.md", "study = optuna.load_study").replace("JOB", out.split()[-1])
    assert "no trial yet" in _python(shapes, code)


def test_a_program_of_ones_own(reader: Machine) -> None:
    shell(reader, block("docs/scripts.md", "misubmit scripts/samples/own_script.json"))
    assert json.loads(reader.ok("query", "--json"))["counts"] == {"completed": 5}
    shown = json.loads(block("docs/scripts.md", '{"script": '))
    assert shown == json.loads((ROOT / "scripts" / "samples" / "own_script.json").read_text())


def test_calls_of_a_program_by_hand(bare_machine: Machine) -> None:
    assert _python(bare_machine, block("docs/scripts.md", "import mitorch_service")) == ""


def test_the_python_client(bare_machine: Machine) -> None:
    report = "import mitorch_service as m; [m.report(epoch=e, train_loss=1 / e, val_loss=0.5 / e) for e in (1, 2)]"
    bare_machine.write("training.json", {"script": {"command": [sys.executable, "-c", report]}})
    controller = bare_machine.start("control", "run", "--every", "0.2")
    try:
        out = _python(bare_machine, block("docs/client.md", "from mitorch_service import Client"))
    finally:
        controller.send_signal(signal.SIGINT)
        controller.communicate(timeout=30)
    assert out.startswith("completed 2 {'val_loss': 0.25}\n[(1, 0.5), (2, 0.25)]\n")
    assert re.search(r"^0 +first +0\.25$", out, re.MULTILINE)
    assert bare_machine.query("first")["tags"] == ["team=vision"]


def test_a_study_of_optuna(bare_machine: Machine) -> None:
    _python(bare_machine, block("docs/optuna.md", "def objective(trial)"))
    assert len(json.loads(bare_machine.ok("query", "--limit", "100", "--json"))["trainings"]) == 20
    assert "x" in shell(bare_machine, block("docs/optuna.md", "python -m mitorch_service.optuna_storage.cli"))


def _python(machine: Machine, code: str, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment or machine.environment,
        cwd=machine.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_going_to_mongodb(reader: Machine, mongodb_uri: str, tmp_path: Path) -> None:
    commands = block("docs/operations.md", "export MITORCH_DB_URI")
    commands = commands.replace("mongodb://user:password@host:27017/", mongodb_uri)
    out = shell(reader, commands.replace("/mnt/shared/mitorch", str(tmp_path / "shared")))
    assert "ok    database: MongoDB" in out
    assert f"ok    storage: writable, {tmp_path / 'shared'}" in out


def test_a_backup(reader: Machine, tmp_path: Path) -> None:
    training = reader.ok("submit", reader.write("training.json", TINY_TRAINING))
    (reader.home / "artifacts" / training).mkdir(parents=True)
    (reader.home / "artifacts" / training / "model.pth").write_text("w")
    out = shell(reader, block("docs/operations.md", "backup=").replace("/var/backups", str(tmp_path)))
    assert "1 training, 0 jobs, 1 data set, 0 epochs and 1 artifact would be restored" in out
    (file,) = tmp_path.glob("*.zip")
    shutil.rmtree(reader.home)
    assert "1 training" in reader.ok("control", "restore", str(file))
    assert reader.run("query", training, "--json").json["status"] == "new"
    assert (reader.home / "artifacts" / training / "model.pth").read_text() == "w"
    refused = reader.run("control", "restore", str(file), training)
    assert (refused.code, "restored as a whole" in refused.err) == (2, True)


def test_pruning(reader: Machine) -> None:
    training = reader.ok("submit", reader.write("training.json", TINY_TRAINING))
    reader.ok("control", "cancel", training)
    with sqlite3.connect(reader.home / "mitorch.db") as database:
        database.execute("UPDATE trainings SET body = replace(body, '2026-', '2020-'), arrival = 1577836800000000")
    shell(reader, block("docs/operations.md", "micontrol prune"), reader.folder)
    assert reader.run("query", training).code == 1
    assert training in gzip.decompress((reader.folder / "old.jsonl.gz").read_bytes()).decode()


def test_webhooks(bare_machine: Machine) -> None:
    verifier: dict[str, Any] = {}
    exec(block("docs/notifications.md", "import base64"), verifier)
    with receiving() as receiver:
        commands = block("docs/notifications.md", "export MITORCH_WEBHOOK_SECRET")
        commands = commands.replace("https://ops.example/hooks/mitorch", f"http://127.0.0.1:{receiver.port}/hooks")
        out = shell(bare_machine, f"{commands}echo $MITORCH_WEBHOOK_SECRET")
    answer, secret = out.splitlines()
    assert answer == "json (json, 127.0.0.1): ok"
    (one,) = receiver.received
    assert one.json()["type"] == "test"
    assert verifier["is_genuine"](one.headers, one.body, secret)
    assert not verifier["is_genuine"](one.headers, one.body + b" ", secret)
    assert not verifier["is_genuine"](one.headers, one.body, SECRET)
    assert not verifier["is_genuine"]({**one.headers, "webhook-timestamp": "1"}, one.body, secret)
