"""Runs that each package itself has written: the same figures as by its own reader."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.interop.foreign_run import SYSTEM_POINT, Ending, ForeignRun, NothingLogged, ReadOptions, number
from mitorch_service.interop.registry import open_system
from tests.foreign_runs.fixtures import expected, unpack


def read(system: str, path: Path, system_metrics: bool = False) -> dict[str, ForeignRun]:
    """The runs at a path, by id; empty ones are left out."""
    found = {}
    for one in open_system(system).find_runs(path, ReadOptions(system_metrics)):
        try:
            run = one.read()
        except NothingLogged:
            continue
        assert one.key is not None
        found[run.id] = run
    return found


def points(run: ForeignRun) -> dict[str, list[tuple[float, float]]]:
    return {name: [(step, value) for step, value, _ in run.curves[name].ordered()] for name in run.curves}


def same(ours: Sequence[tuple[float, float]], theirs: Sequence[Sequence[Any]]) -> bool:
    """Whether the points are equal, NaN to NaN."""
    figures = [(float(step), number(value)) for step, value in theirs]
    return repr([(float(step), value) for step, value in ours]) == repr(figures)


def check(run: ForeignRun, theirs: Mapping[str, Sequence[Sequence[Any]]], of_theirs: int) -> None:
    ours = points(run)
    assert set(ours) <= set(theirs)
    assert len(ours) == of_theirs
    for name, curve in ours.items():
        assert same(curve, theirs[name]), name


@pytest.mark.parametrize("store", ["mlflow.db", "mlruns"])
def test_mlflow(tmp_path: Path, store: str) -> None:
    runs = read("mlflow", unpack("mlflow", tmp_path) / store)
    theirs = expected("mlflow")["runs"][store]
    assert set(runs) == set(theirs)
    endings = {"FINISHED": Ending.FINISHED, "FAILED": Ending.FAILED, "RUNNING": Ending.OPEN}
    for id, run in runs.items():
        known = theirs[id]
        check(run, known["metrics"], sum(not name.startswith("system/") for name in known["metrics"]))
        assert (run.name, run.project, run.ending) == (known["name"], "digits ü", endings[known["status"]])
        assert run.started_at is not None
        assert run.started_at.timestamp() == known["started"]
        assert {name: str(value) for name, value in run.parameters.items()} == known["parameters"]
    first = next(run for run in runs.values() if run.name == "first größer")
    assert first.parameters["lr"] == 0.001
    assert first.parameters["aug"] == "{'flip': True}"
    assert first.tags == ["team=vision"]
    assert first.note == "a note\nüber zwei Zeilen"
    assert first.left_out == {SYSTEM_POINT: 1}


def test_mlflow_finds_both_stores_and_the_folders_within(tmp_path: Path) -> None:
    runs = unpack("mlflow", tmp_path)
    assert len(read("mlflow", runs)) == 8
    experiment = next(
        folder for folder in (runs / "mlruns").iterdir() if folder.name.isdecimal() and folder.name != "0"
    )
    assert len(read("mlflow", experiment)) == 4
    one = next(folder for folder in experiment.iterdir() if folder.is_dir() and len(folder.name) == 32)
    assert set(read("mlflow", one)) == {one.name}
    (one / "meta.yaml").write_text((one / "meta.yaml").read_text().replace("stage: active", "stage: deleted"))
    assert read("mlflow", one) == {}


def test_wandb(tmp_path: Path) -> None:
    runs = read("wandb", unpack("wandb", tmp_path))
    theirs = expected("wandb")["runs"]
    assert set(runs) == set(theirs)
    for id, run in runs.items():
        known = theirs[id]
        numeric = {
            name: [point for point in curve if number(point[1]) is not None]
            for name, curve in known["metrics"].items()
            if not name.startswith("_")
        }
        check(run, numeric, sum(bool(curve) for curve in numeric.values()))
        assert run.name == known["name"]
        assert run.project == "digits"
        assert run.ending == (Ending.FAILED if known["status"] else Ending.FINISHED)
        assert run.started_at is not None
        assert int(run.started_at.timestamp()) == known["started"]
        assert run.parameters == {name: value for name, value in known["config"].items() if name != "_wandb"}
    first = next(run for run in runs.values() if run.name == "first größer")
    assert first.finals["best"] == 0.5
    assert first.tags == ["base", "x=1", "group=g"] or set(first.tags) == {"base", "x=1", "group=g"}
    assert first.note == "a note\nüber"
    assert first.left_out["text value"] == 1
    assert first.left_out["histogram"] == 1
    failed = next(run for run in runs.values() if run.name == "failed")
    assert failed.reason == "exit code 1"


def test_wandb_system_metrics_only_if_wanted(tmp_path: Path) -> None:
    path = unpack("wandb", tmp_path)
    without = read("wandb", path)
    wanted = read("wandb", path, system_metrics=True)
    with_some = [id for id, run in without.items() if run.left_out[SYSTEM_POINT]]
    assert with_some
    assert all(any(name.startswith("system/") for name in wanted[id].curves) for id in with_some)
    assert not any(name.startswith("system/") for run in without.values() for name in run.curves)


def test_a_resumed_wandb_run_is_one(tmp_path: Path) -> None:
    path = unpack("wandb", tmp_path)
    file = next(file for file in path.rglob("*.wandb"))
    later = path / "wandb" / f"offline-run-29991231_000000-{file.stem.removeprefix('run-')}"
    later.mkdir()
    (later / file.name).write_bytes(file.read_bytes())
    found = list(open_system("wandb").find_runs(path, ReadOptions()))
    assert len(found) == 4
    assert all(one.read() for one in found)


@pytest.mark.parametrize("kind", ["db", "parquet"])
def test_trackio(tmp_path: Path, kind: str) -> None:
    path = unpack("trackio", tmp_path)
    theirs = expected("trackio")["runs"]
    (path / "digits.db" if kind == "parquet" else path / "digits.parquet").unlink()
    runs = read("trackio", path)
    assert runs.keys() == read("trackio", path / f"digits.{kind}").keys() == theirs.keys()
    for id, run in runs.items():
        known = dict(theirs[id]["metrics"])
        nested = known.pop("nested", [])
        known |= {"nested/a": [[step, value["a"]] for step, value in nested]} if nested else {}
        known.pop("text", None)
        known = {name: [[step, v] for step, v in curve if v is not None] for name, curve in known.items()}
        check(run, known, len(known))
        assert (run.name, run.project, run.ending) == (theirs[id]["name"], "digits", Ending.FINISHED)
        assert run.parameters == {k: v for k, v in theirs[id]["config"].items() if not k.startswith("_")}
        assert run.started_at is not None
    first = next(run for run in runs.values() if run.name == "first größer")
    assert first.parameters["model"] == {"name": "resnet18", "layers": [1, 2]}
    assert first.tags == ["group=g"]
    assert first.left_out == {"text value": 1, SYSTEM_POINT: 1}


def test_neptune(tmp_path: Path) -> None:
    runs = read("neptune", unpack("neptune", tmp_path))
    theirs = expected("neptune")["runs"]
    assert set(runs) == set(theirs)
    for id, run in runs.items():
        known = {
            name: [[number_ if step is None else step, value] for number_, (step, value) in enumerate(curve)]
            for name, curve in theirs[id]["metrics"].items()
            if not name.startswith("monitoring/")
        }
        check(run, known, len(known))
        assert run.name == theirs[id]["name"]
    first = next(run for run in runs.values() if run.name == "first größer")
    assert first.parameters == {"parameters": {"lr": 0.001, "model": {"name": "resnet18"}, "flag": True}}
    assert first.finals == {"test/accuracy": 0.5}
    assert first.note == "a note\nüber"
    assert sorted(first.tags) == ["base", "x=1"]
    assert sum(run.ending == Ending.FAILED for run in runs.values()) == 1


def test_neptune_scale(tmp_path: Path) -> None:
    path = unpack("neptunescale", tmp_path)
    runs = read("neptune", path)
    theirs = expected("neptunescale")["runs"]
    assert set(runs) == set(theirs)
    for id, run in runs.items():
        check(run, theirs[id]["metrics"], len(theirs[id]["metrics"]))
        assert run.project == "team/digits"
    first = runs["r1"]
    assert first.name == "first größer"
    assert first.parameters == {"parameters": {"lr": 0.001, "model": {"name": "resnet18"}, "flag": True}}
    assert first.finals == {"test/accuracy": 0.5}
    assert first.note == "a note\nüber"
    assert sorted(first.tags) == ["base", "x=1"]
    assert first.left_out == {"text value": 1}
    assert first.started_at is not None
    (file,) = path.glob("*_r2_*/*.sqlite3")
    assert set(read("neptune", file)) == {"r2"}


@pytest.mark.parametrize("fixture", ["tensorboard", "tensorboardx"])
def test_tensorboard(tmp_path: Path, fixture: str) -> None:
    runs = read("tensorboard", unpack(fixture, tmp_path))
    theirs = expected(fixture)["runs"]
    assert set(runs) == {"first größer", "group/epochs", "resumed"}  # and one that is empty
    first = runs.pop("first größer")
    for name, run in runs.items():
        check(run, theirs[name]["metrics"], len(theirs[name]["metrics"]))
    known = dict(theirs["first größer"]["metrics"])
    sign = "_" if fixture == "tensorboard" else "/"
    known |= {f"both/{letter}": theirs[f"first größer/both{sign}{letter}"]["metrics"]["both"] for letter in "ab"}
    check(first, known, 5)
    assert first.parameters["lr"] == 0.1
    assert first.parameters["model"] == "resnet"
    assert first.finals == {"hparam/acc": 0.5}
    assert first.left_out == {"text": 1}
    assert math.isnan(points(first)["odd"][1][1])


def test_tensorboard_splits_and_lightning(tmp_path: Path) -> None:
    runs = unpack("tensorboard", tmp_path)
    one = tmp_path / "keras"
    for split in ("train", "validation"):
        (one / split).mkdir(parents=True)
        for file in (runs / "group" / "epochs").iterdir():
            (one / split / file.name).write_bytes(file.read_bytes())
    (one / "hparams.yaml").write_text("lr: 0.5\nnested: {a: [1]}\n")
    (run,) = read("tensorboard", tmp_path / "keras").values()
    assert set(run.curves) == {"train/epoch", "train/loss", "validation/epoch", "validation/loss"}
    assert run.parameters == {"lr": 0.5, "nested": {"a": [1]}}
    (one / "hparams.yaml").write_text("model: !!python/object:x.Y {}\n")
    (run,) = read("tensorboard", tmp_path / "keras").values()
    assert run.left_out == {"hparams.yaml that cannot be read": 1}


def test_a_tensorboard_run_keeps_its_key_wherever_it_lies(tmp_path: Path) -> None:
    runs = unpack("tensorboard", tmp_path)
    before = {one.key for one in open_system("tensorboard").find_runs(runs, ReadOptions())}
    runs.rename(tmp_path / "elsewhere")
    assert {one.key for one in open_system("tensorboard").find_runs(tmp_path, ReadOptions())} == before
    assert len(before) == 4
