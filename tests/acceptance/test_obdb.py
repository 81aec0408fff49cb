"""A settings file of obdb through the commands, with real trainings of tiny detectors."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
import torch

from tests.acceptance.conftest import Machine
from tests.documents import block
from tests.obdb_database import LABELS, CvatTask, fill, frame, shape
from tests.obdb_settings import SETTINGS
from tests.unit.training.shapes import draw_shapes, write_detection

SEARCHED, TRAINED = "test_efficientnet-ssdlite", "test_resnet-ssdlite"
RECORDINGS = SETTINGS["annotations_list"]
TINY: dict[str, Any] = {
    **{key: value for key, value in SETTINGS.items() if not key.startswith("resnet")},
    "variants": [TRAINED, SEARCHED],
    SEARCHED: {"run_hpo": 1},
    TRAINED: {"run_hpo": 0, "optimal_hpo_settings": SETTINGS["resnet18"]["optimal_hpo_settings"]},
    "search_epochs": 1,
    "max_train_epochs": 2,
    "num_initial_data_points": 1,
    "max_num_trials": 2,
    "config": {"model": {"input_size": 64, "pretrained": False}, "num_workers": 0},
}


def furnish(machine: Machine) -> Machine:
    """Registers a data set of eight pictures with boxes."""
    folder = machine.folder / "weeds"
    parts = {
        name: {"path": str(write_detection(folder, draw_shapes(count, seed=count), name)), "support_files": []}
        for name, count in (("train", 8), ("val", 4))
    }
    machine.write("weeds.json", [{"name": "weeds", "version": 1, **parts}])
    machine.ok("dataset", "register", "weeds.json")
    return machine


@pytest.fixture
def obdb(bare_machine: Machine, mongodb_uri: str) -> Iterator[Machine]:
    """A machine with the pictures of two recordings, which obdb's database describes."""
    machine = bare_machine
    name = f"annotations_{os.getpid()}_{abs(hash(machine.folder))}"
    machine.environment["MITORCH_OBDB_URI"] = mongodb_uri.replace("/?", f"/{name}?")
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client:
        for seed, recording in enumerate(RECORDINGS):
            fill(client[name], drawn_recording(machine.folder / "weed_data", recording, seed))
        yield machine
        client.drop_database(name)


def drawn_recording(folder: Path, name: str, seed: int) -> CvatTask:
    """Five pictures with their shapes; the last shows none."""
    task = CvatTask(name, [])
    for index, drawing in enumerate(draw_shapes(5, seed=seed)):
        path = folder / "fielddata" / str(seed) / f"frame_{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        drawing.image.save(path)
        task.frames.append(frame(str(path.relative_to(folder))))
        task.shapes += [
            shape(index, box, LABELS[label][0]) for label, box in zip(drawing.labels, drawing.boxes, strict=True)
        ]
    return task


@pytest.mark.long
def test_the_commands_of_the_document(obdb: Machine) -> None:
    """A settings file alone imports, searches, trains and leaves its results in obdb's folders."""
    machine, folder = obdb, obdb.folder
    places = {
        key: str(folder / name)
        for key, name in (("dataset_dir", "weed_data"), ("save_dir", "train"), ("writer_dir", "runs"))
    }
    machine.write("settings_file.json", {**TINY, **places})
    explained = machine.run("submit", "settings_file.json", "--explain")
    assert "on obdb, 2 epochs" in explained.out
    assert not (machine.home / "datasets").exists()
    commands = [shlex.split(line)[1:] for line in block("docs/obdb.md", "export MITORCH_OBDB_URI").splitlines()]
    _, submit, passing, import_, show = commands
    submitted = machine.run("submit", *submit)
    assert submitted.code == 0, submitted
    boxes = sum(len(one.boxes) for seed in range(2) for one in draw_shapes(5, seed=seed))
    assert submitted.err.startswith(
        f"settings_file.json: 10 frames (2 empty) with {boxes} boxes: 8 to train, 2 to validate\n"
        "settings_file.json: registered obdb:1\n"
    )
    training, job = submitted.out.split()
    passes = machine.ok("control", *passing, "--every", "0.3")

    assert [row["epoch"] for row in machine.query(training)["curve"]] == [1, 2]
    done = machine.query(job)
    assert (done["status"], done["counts"]) == ("completed", {"completed": 2})
    final = machine.query(done["best"]["refit"])
    assert (final["status"], final["trial"], final["progress"]["epoch"]) == ("completed", None, 2)
    assert final["refit"] == {k: v for k, v in {**done["best"], "job_id": job}.items() if k in final["refit"]}
    assert done["final_training"] == {
        "id": final["_id"],
        "status": "completed",
        "evaluation": {**final["evaluation"], "val_loss": done["best"]["refit_value"]},
    }
    assert final["curve"][0]["val_loss"] == done["best"]["value"]  # the winner again, and one epoch more
    assert done["artifacts"]["model"] == final["artifacts"]["model"]
    assert Path(done["artifacts"]["model"]).stat().st_size > 1_000_000
    shown = machine.ok("query", job)
    assert f"{final['_id']} completed, epoch 2/2, val_loss=" in shown
    assert len(done["leaderboard"]) == 2

    save, runs = folder / "train", folder / "runs"
    assert passes.count(": wrote ") == 2
    names = ("class_metrics.json", "model.pth", "settings.json")
    assert sorted(path.name for path in save.iterdir()) == sorted(
        f"{variant}_{name}" for variant in (SEARCHED, TRAINED) for name in names
    )
    assert (save / f"{SEARCHED}_model.pth").read_bytes() == Path(done["artifacts"]["model"]).read_bytes()
    settings = json.loads((save / f"{SEARCHED}_settings.json").read_text())
    assert settings["lr"] == final["config"]["lr_scheduler"]["base_lr"]
    assert settings["best_value"] == done["best"]["value"]
    for variant, id in ((SEARCHED, final["_id"]), (TRAINED, training)):
        assert [path.name[:20] for path in (runs / variant / id).iterdir()] == ["events.out.tfevents."]
    entry = json.loads((save / f"{TRAINED}_class_metrics.json").read_text())["Fat hen"]
    assert set(entry["f1"]["0.5"]) == {"0.5", "0.6", "0.7", "0.8", "0.9"}
    stored = torch.load(save / f"{TRAINED}_model.pth", weights_only=True)
    assert stored["threshold"] == machine.query(training)["evaluation"]["best_threshold"]

    (save / f"{TRAINED}_model.pth").unlink()
    repeat = machine.run("submit", "settings_file.json")  # queues nothing, and delivers once more
    assert "is registered already as obdb:1" in repeat.err
    assert machine.ok("dataset", *import_) == "weeds:1"
    shown = machine.ok("dataset", *show)
    assert f"{RECORDINGS[0]} (2020-05-20T14:57:36.123456Z), {RECORDINGS[1]} (" in shown
    assert "@" not in shown
    assert repeat.err.count(": wrote ") == 2
    assert (save / f"{TRAINED}_model.pth").exists()


@pytest.fixture
def queue(bare_machine: Machine, database_environment: dict[str, str]) -> Machine:
    """A machine with the data set, on each database."""
    bare_machine.environment.update(database_environment)
    return furnish(bare_machine)


def test_one_file_gives_several_documents_once(queue: Machine) -> None:
    name = queue.write("settings_file.json", SETTINGS)
    explained = queue.ok("submit", name, "--dataset", "weeds", "--explain")
    assert explained.startswith("resnet18:\n  One training on weeds:1, 10000 epochs:")
    assert "resnet34:\n  A gp search on weeds:1 to minimize val_loss:" in explained
    assert 'then the winner is trained once more, with {"max_epochs": 10000, "early_stopping"' in explained
    assert queue.run("query", "--json").json["counts"] == {}

    submitted = queue.run("submit", name, "--dataset", "weeds", "--priority", "3")
    first, told = submitted.out, submitted.err
    assert told.startswith("settings_file.json: not read, as the data set is weeds: annotations_list, dataset_dir\n")
    repeat = queue.run("submit", name, "--dataset", "weeds", "--priority", "3", "--json")
    assert "all of it is queued already; --again queues it once more" in repeat.err
    found = [(one["variant"], one["kind"], one["id"]) for one in repeat.json["submissions"]]
    training, job = first.split()
    assert found == [("resnet18", "training", training), ("resnet34", "job", job)]
    assert repeat.json["queued"] == 0
    again = queue.ok("submit", name, "--dataset", "weeds", "--priority", "3", "--again")
    assert set(again.split()).isdisjoint(first.split())
    assert queue.run("query", "--json").json["counts"] == {"new": 2}
    (row,) = [row for row in queue.run("query", "--json").json["trainings"] if row["_id"] == training]
    assert (row["priority"], row["tags"]) == (3, ["variant=resnet18"])


def test_a_wrong_file_queues_nothing(bare_machine: Machine) -> None:
    machine = furnish(bare_machine)
    wrong = {**SETTINGS, "resnet34": {"run_hpo": 1, "run_hpos": 1}, "writerdir": "/x"}
    answer = machine.run("submit", machine.write("wrong.json", wrong), "--dataset", "weeds")
    assert (answer.code, answer.out) == (2, "")
    assert "wrong.json: 2 problems" in answer.err
    assert "writerdir: unknown key; did you mean 'writer_dir'?" in answer.err
    assert "resnet34.run_hpos: unknown key; did you mean 'run_hpo'?" in answer.err
    machine.write("many.jsonl", json.dumps(SETTINGS) + "\n")
    assert "submit it by itself" in machine.run("submit", "--many", "many.jsonl", "--dataset", "weeds").err
    assert machine.run("submit", machine.write("t.json", {}), "--again").code == 2
    alone = machine.run("submit", machine.write("alone.json", SETTINGS))
    assert (alone.code, alone.out) == (2, "")
    assert "annotations_list: needs obdb's database: set MITORCH_OBDB_URI to mongodb://HOST:PORT/" in alone.err
    assert machine.run("query", "--json").json["counts"] == {}
