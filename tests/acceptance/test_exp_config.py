"""exp_config.json through the commands: with its data on this machine, a tiny detector trained by steps."""

from __future__ import annotations

import json
import shlex
from typing import Any

from tests.acceptance.conftest import Machine
from tests.documents import block
from tests.exp_configs import EXP_CONFIG, WORKSPACE, write_use_case

TINY: dict[str, Any] = {
    **EXP_CONFIG,
    "COMPUTE_NAME": "local",
    "RUN_PARAMS": {"STEPS": 1},
    "config": {
        "model": {
            "name": "test_resnet-fpn-fasterrcnn",
            "input_size": 64,
            "pretrained": False,
            "options": {"rpn_max_proposals": 10, "box_detections_per_img": 4, "box_batch_size_per_image": 8},
        },
        "num_workers": 0,
    },
}


def furnish(machine: Machine, given: dict[str, Any], *stamps: str) -> None:
    machine.write("exp_config.json", given)
    (machine.folder / "configuration").mkdir()
    (machine.folder / "configuration" / "dev_config.json").write_text(json.dumps(WORKSPACE))
    write_use_case(machine.folder / "test_data", *stamps)


def test_the_commands_of_the_document(bare_machine: Machine) -> None:
    """The file alone finds its data, is trained, and shows steps and the loss of each stage."""
    machine = bare_machine
    furnish(machine, TINY, "200101000000", "210101000000")
    commands = [shlex.split(line)[1:] for line in block("docs/exp_config.md", "misubmit").splitlines()]
    explain, submit, passing, query = commands
    explained = machine.run("submit", *explain)
    assert "One training on pothole, 1 step:" in explained.out, explained
    assert not machine.home.exists()
    submitted = machine.run("submit", *submit)
    assert submitted.code == 0, submitted
    assert submitted.err.splitlines()[:2] == [
        "exp_config.json: train set train_pothole_210101000000.csv, test set test_pothole_210101000000.csv",
        "exp_config.json: DOCKER_IMAGE is for Azure ML; elsewhere it runs in the environment of the cluster",
    ]
    assert "exp_config.json: registered pothole:1" in submitted.err.splitlines()
    waiting = machine.ok("query", "--status", "new")
    assert "0/1 steps" in waiting
    machine.ok("control", *passing, "--every", "0.3")
    done = machine.query(submitted.out.strip())
    assert done["status"] == "completed", done
    assert (done["max_steps"], done["progress"]["step"]) == (1, 1)
    assert [(one["epoch"], one["step"]) for one in done["curve"]] == [(1, 1)]
    stages = {"classifier", "box_reg", "objectness", "rpn_box_reg"}
    assert all(one["losses"].keys() == stages for one in done["curve"])
    assert done["evaluation"]["image_true_positives"] + done["evaluation"]["image_false_negatives"] == 4
    assert {"image_confusion_matrix", "confusion_matrix", "tensorboard"} <= done["artifacts"].keys()
    assert set(done["tags"]) == {
        "Description=Test training workflow",
        "Train Set=train_pothole_210101000000.csv",
        "Test Set=test_pothole_210101000000.csv",
        "Base model=faster_rcnn_resnet101_coco_2018_01_28",
        "Steps=1",
    }
    assert "EPOCH  STEP  TRAIN_LOSS" in machine.ok("query", done["_id"])
    assert "1/1 steps" in machine.ok("query", *query)

    again = machine.run("submit", "exp_config.json", "--explain")
    assert again.code == 0
    second = machine.run("submit", "exp_config.json")
    assert "exp_config.json: is registered already as pothole:1" in second.err


def test_what_is_wrong_is_told_before_anything_is_done(bare_machine: Machine) -> None:
    machine = bare_machine
    furnish(machine, {**TINY, "NODES": "x", "ENV_CONFIG_FILE": "other.json", "EXP_NAM": 1})
    answer = machine.run("submit", "exp_config.json")
    assert answer.code == 2
    assert [line.split(":")[0].strip() for line in answer.err.splitlines()[1:]] == [
        "NODES",
        "EXP_NAM",
        "ENV_CONFIG_FILE",
    ]
    machine.write("exp_config.json", TINY)
    answer = machine.run("submit", "exp_config.json")
    assert "TRAIN_CSV: there is no train_pothole_yymmddHHMMSS.csv in" in answer.err
    machine.write("exp_config.json", {**TINY, "DATA_MOUNT": "nowhere"})
    answer = machine.run("submit", "exp_config.json")
    assert "DATA_MOUNT: there is no folder nowhere/pothole/datasets" in answer.err
    assert answer.code == 2
    machine.write("all.jsonl", json.dumps(TINY) + "\n")
    answer = machine.run("submit", "--many", "all.jsonl")
    assert "is an exp_config.json" in answer.err
    assert list(machine.home.glob("*.db")) == []


def test_two_versions_are_told_with_the_images_that_both_have(bare_machine: Machine) -> None:
    machine = bare_machine
    furnish(machine, {**TINY, "HYPERTUNE": True, "TEST_CSV": "test_pothole_200101000000.csv"}, "200101000000")
    newest = machine.folder / "test_data" / "pothole" / "datasets" / "train_pothole_220101000000.csv"
    newest.write_bytes((newest.parent / "train_pothole_200101000000.csv").read_bytes())
    machine.write("exp_config.json", {**TINY, "HYPERTUNE": True, "TRAIN_CSV": newest.name})
    answer = machine.run("submit", "exp_config.json", "--explain")
    assert answer.code == 0, answer
    assert "are of different versions; 4 images in both, so that metrics flatter: 0.png, 1.png" in answer.err
    assert "search on pothole to minimize val_loss" in answer.out
    assert not machine.home.exists()
