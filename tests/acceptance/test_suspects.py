"""midataset suspects with weights of ours: the ranking is printed, drawn and written."""

from __future__ import annotations

import csv
import json

from PIL import Image

from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.loop.weights_metadata import describe_weights
from mitorch_service.training.networks.network import build_network
from mitorch_service.training.networks.weights import cpu_state_dict, save_weights
from tests.acceptance.conftest import Machine
from tests.unit.training.pictures import write_colors


def test_labels_are_ranked_drawn_and_written(bare_machine: Machine) -> None:
    folder = bare_machine.folder
    train = read_image_list(write_colors(folder, 6))
    write_colors(folder, 3, "val")
    config = TrainingConfig.model_validate({"model": {"name": "test_resnet", "input_size": 16}})
    network = build_network(config.model, 3)
    save_weights(cpu_state_dict(network.module), folder / "model.pth", describe_weights(config, network, train))
    definition = {"name": "colours", "version": 1, "train": {"path": "train.txt"}, "val": {"path": "val.txt"}}
    bare_machine.write("d.json", json.dumps([definition]))
    bare_machine.ok("dataset", "register", "d.json")
    options = ("--with", "model.pth", "--csv", "out.csv", "-o", "sheet.png", "-n", "5", "--json")
    found = json.loads(bare_machine.ok("dataset", "suspects", "colours", *options))
    assert (found["images"], len(found["suspects"])) == (9, 5)
    scores = [one["score"] for one in found["suspects"]]
    assert all(0 <= score <= 1 for score in scores)
    with (folder / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [one["image"] for one in found["suspects"]]
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.width > 1000
    answer = bare_machine.run("dataset", "suspects", "colours", "--with", "nobody")
    assert answer.code == 1
    assert "nobody" in answer.err
