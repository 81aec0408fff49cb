"""A settings file of obdb through the commands, with real trainings of tiny detectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Machine
from tests.obdb_settings import SETTINGS
from tests.unit.training.shapes import draw_shapes, write_detection

SEARCHED, TRAINED = "mobilenet_v3_small-ssdlite", "mobilenet_v3_large-ssdlite"
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


def test_a_variant_is_searched_and_its_winner_trained_on_and_the_other_is_trained(bare_machine: Machine) -> None:
    machine = furnish(bare_machine)
    submitted = machine.run("submit", machine.write("settings_file.json", TINY), "--dataset", "weeds")
    assert submitted.code == 0, submitted
    ignored = "annotations_list, save_dir, writer_dir, dataset_dir"
    assert submitted.err.startswith(f"settings_file.json: without a meaning here: {ignored}\n")
    training, job = submitted.out.split()
    machine.ok("control", "run", "--until-idle", "--every", "0.3")

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

    first = queue.ok("submit", name, "--dataset", "weeds", "--priority", "3")
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
    assert machine.run("query", "--json").json["counts"] == {}
