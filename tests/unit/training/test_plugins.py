"""A package that adds a model and a task: a real distribution, installed by pip into a folder of its own."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.warm.command import with_warm_code

_METADATA = {
    "METADATA": "Metadata-Version: 2.1\nName: dummy-models\nVersion: 1.0\n",
    "WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "RECORD": "",
    "entry_points.txt": """
[mitorch_service.models]
dummy_net = dummy_models:build_net
dummy_detector = dummy_models:build_detector
broken_net = dummy_models:absent

[mitorch_service.tasks]
dummy_task = dummy_models:DummyTask
""",
}
_MODULE = """
from torch import nn

from mitorch_service.training.networks.network import Network
from mitorch_service.training.tasks.multiclass import MulticlassTask


def build_net(config, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * config.input_size**2, classes, bias=config.options["bias"]))


def build_detector(config, classes):
    from mitorch_service.training.networks.detectors.families import build_detector
    from mitorch_service.training.networks.detectors.detector_names import parse_detector

    name = config.name.replace("dummy_detector", "test_resnet-ssdlite")
    return build_detector(parse_detector(name), config.model_copy(update={"options": {}}), classes)


class DummyTask(MulticlassTask):
    name = "dummy_task"
"""
_USE = """
import torch
from mitorch_service.errors import ModelError
from mitorch_service.models.config.training_config import ModelConfig, TrainingConfig
from mitorch_service.training.loop.config_check import check_names
from mitorch_service.training.networks.model_names import list_models
from mitorch_service.training.networks.network import build_detection_network
from mitorch_service.training.tasks.base import open_task

model = {"name": "dummy_net", "input_size": 8, "options": {"bias": False}}
schedule = {"name": "cosine", "base_lr": 0.1}
written = {"model": model, "lr_scheduler": schedule, "max_epochs": 1, "task_type": "dummy_task"}
config = TrainingConfig.model_validate(written)
print(check_names(written), list_models("dummy"))
task = open_task("dummy_task")
network = task.build_network(config.model, 5)
print(task.name, network.module(torch.zeros(2, 3, 8, 8)).shape[1], len(list(network.module.parameters())), network.mean)
print(build_detection_network(ModelConfig(name="dummy_detector", input_size=64), 2).mean)
try:
    task.build_network(ModelConfig(name="broken_net"), 5)
except ModelError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the installed package, of a wheel that needs no build tools."""
    wheel, target = (
        tmp_path_factory.mktemp("dummy") / "dummy_models-1.0-py3-none-any.whl",
        tmp_path_factory.mktemp("site"),
    )
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("dummy_models.py", _MODULE)
        for name, content in _METADATA.items():
            archive.writestr(f"dummy_models-1.0.dist-info/{name}", content)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", target, wheel], check=True, capture_output=True)
    return target


def test_an_installed_package_adds_a_model_and_a_task(installed: Path) -> None:
    environment = with_warm_code({"PYTHONPATH": str(installed)})
    done = subprocess.run([sys.executable, "-c", _USE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "[] ['dummy_detector', 'dummy_net']"
    assert lines[1] == "dummy_task 5 1 (0.485, 0.456, 0.406)"
    assert lines[2] == "(0.0, 0.0, 0.0)"
    assert "broken_net, which an installed package registers" in lines[3]
    assert "Repair or remove that package." in lines[3]
