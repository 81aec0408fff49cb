"""midataset cvat, against the stand-in for a server."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator

import pytest

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box
from mitorch_service.annotations.writers.registry import write_annotations
from tests.acceptance.conftest import Machine
from tests.cvat_server.server import PASSWORD, USER, CvatStandIn, cvat_server
from tests.documents import block
from tests.unit.training.shapes import draw_shapes, write_detection
from tests.warm.command import with_warm_code

WEIGHTS = """
import torch
from pathlib import Path
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.loop.weights_metadata import describe_weights
from mitorch_service.training.networks.weights import save_weights
from mitorch_service.training.tasks.base import open_task

model = {"name": "test_resnet-fpn-fcos", "input_size": 64, "pretrained": False}
config = TrainingConfig.model_validate({"model": model, "task_type": "object_detection", "batch_size": 4})
data = read_image_list(Path("train.txt"))
network = open_task(config.task_type).build_network(config.model, len(data.classes))
save_weights(network.module.state_dict(), Path("weights.pth"), describe_weights(config, network, data))
"""


@pytest.fixture
def cvat() -> Iterator[CvatStandIn]:
    with cvat_server() as running:
        yield running


def test_the_commands_of_the_document(cvat: CvatStandIn, bare_machine: Machine) -> None:
    machine = bare_machine
    machine.environment |= {"MITORCH_CVAT_URL": cvat.url, "MITORCH_CVAT_AUTH": f"{USER}:{PASSWORD}"}
    images = {}
    for number, drawing in enumerate(draw_shapes(4)):
        buffer = io.BytesIO()
        drawing.image.save(buffer, "PNG")
        images[f"{number}.png"] = buffer.getvalue()
    labels = ["circle", "square"]
    names = ("field-7", "field-7 gt_val", "field-7 auto_net")
    done, truth, auto = (cvat.add_task(name, labels, dict(images)) for name in names)
    done.status = "completed"
    for name in images:
        cvat.draw(done, name, "circle", 2, 2, 20, 20)
        cvat.draw(auto, name, "square", 2, 2, 20, 20)
    write_detection(machine.folder, draw_shapes(2))
    (machine.folder / "new").mkdir()
    (machine.folder / "new" / "n.png").write_bytes(images["0.png"])
    drawn = AnnotatedImage("0.png", 64, 64, (Box("square", 30, 30, 50, 50),))
    write_annotations("cvat", [drawn], labels, machine.folder / "reviewed" / "field-7.xml")
    subprocess.run(
        [sys.executable, "-c", WEIGHTS], cwd=machine.folder, env=with_warm_code(machine.environment), check=True
    )

    said = []
    for line in block("docs/data.md", "midataset cvat").splitlines():
        command = line.partition("#")[0].replace("new/*.png", "new/n.png").split()
        answer = machine.run("dataset", *command[1:])
        assert answer.code == 0, answer
        assert PASSWORD not in answer.out + answer.err
        said.append(answer.out)
    assert said[0] == "registered birds:1\n"
    assert said[1].startswith("field-7  ")
    assert said[2].startswith("field-9  ")
    assert said[3] == "field-7  1 box added\n"
    assert said[4] == "field-7 gt_val  4 boxes added\n"
    assert len(truth.shapes) == 4
    assert "field-7 (2026-01-01" in machine.ok("dataset", "show", "birds")

    wrong = machine.run("dataset", "cvat", "pull", "--as", "birds", MITORCH_CVAT_AUTH=f"{USER}:other-pass")
    assert (wrong.code, "other-pass" in wrong.err) == (1, False)
    assert "refuses the login" in wrong.err
    unset = machine.run("dataset", "cvat", "pull", "--as", "birds", MITORCH_CVAT_URL="")
    assert (unset.code, "MITORCH_CVAT_URL" in unset.err) == (2, True)
