"""midataset suspects with weights of ours: the ranking is printed, drawn and written."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.loop.weights_metadata import describe_weights
from mitorch_service.training.networks.network import build_network
from mitorch_service.training.networks.weights import cpu_state_dict, save_weights
from tests.acceptance.conftest import Machine
from tests.cvat_server.server import PASSWORD, USER, CvatStandIn, cvat_server
from tests.unit.training.pictures import write_colors


@pytest.fixture
def cvat() -> Iterator[CvatStandIn]:
    with cvat_server() as running:
        yield running


def test_labels_are_ranked_drawn_written_and_made_a_task(bare_machine: Machine, cvat: CvatStandIn) -> None:
    folder = bare_machine.folder
    bare_machine.environment |= {"MITORCH_CVAT_URL": cvat.url, "MITORCH_CVAT_AUTH": f"{USER}:{PASSWORD}"}
    train = read_image_list(write_colors(folder, 6))
    write_colors(folder, 3, "val")
    config = TrainingConfig.model_validate({"model": {"name": "test_resnet", "input_size": 16}})
    network = build_network(config.model, 3)
    save_weights(cpu_state_dict(network.module), folder / "model.pth", describe_weights(config, network, train))
    definition = {"name": "colours", "version": 1, "train": {"path": "train.txt"}, "val": {"path": "val.txt"}}
    bare_machine.write("d.json", json.dumps([definition]))
    bare_machine.ok("dataset", "register", "d.json")
    options = ("--with", "model.pth", "--csv", "out.csv", "-o", "sheet.png", "-n", "5", "--json", "--cvat", "to check")
    found = json.loads(bare_machine.ok("dataset", "suspects", "colours", *options))
    assert (found["images"], len(found["suspects"])) == (9, 5)
    scores = [one["score"] for one in found["suspects"]]
    assert all(0 <= score <= 1 for score in scores)
    with (folder / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [one["image"] for one in found["suspects"]]
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.width > 1000
    (task,) = cvat.tasks.values()
    names = [Path(one["image"]).name for one in found["suspects"]]
    assert (task.name, sorted(task.images)) == ("to check", [f"{n}_{name}" for n, name in enumerate(names, 1)])
    tags = {tag["frame"]: task.labels[tag["label_id"] - 100 * task.id] for tag in task.tags}
    assert [tags[frame] for frame in range(5)] == [one["label"] for one in found["suspects"]]
    for model, problem in (("model.pth", "there is a task to check already"), ("nobody", "nobody")):
        cvat.tasks.clear() if model == "nobody" else None
        answer = bare_machine.run("dataset", "suspects", "colours", "--with", model, "--cvat", "to check")
        assert answer.code == 1
        assert problem in answer.err
        assert "looking at" not in answer.err
