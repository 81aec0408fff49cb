from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from mitorch_service.training.torch_imports import heavy_imports
from tests.unit.training.pictures import write_colors

# Prints what is imported of the packages that only evaluations and their pictures need.
_WATCHED = """
import sys
from pathlib import Path
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.splits import read_splits
from mitorch_service.training.loop.engine import train
from mitorch_service.training.loop.file_reporter import FileReporter
from mitorch_service.training.loop.reporter import NullReporter

class Watching(NullReporter):
    def step_ended(self, epoch, step, steps, loss):
        late = ("torchmetrics", "matplotlib", "tensorboard", "faster_coco_eval")
        print([name for name in late if name in sys.modules])

config = {"model": {"name": "test_resnet", "input_size": 16}, "lr_scheduler": {"name": "cosine", "base_lr": 0.01},
          "augmentation": {"train": "resize", "val": "resize"}, "max_epochs": 1}
lists = read_splits({"train": Path("train.txt"), "val": Path("val.txt")})
with FileReporter(Watching(), Path("plots")) as reporter:
    train(TrainingConfig.model_validate(config), lists["train"], lists["val"], reporter=reporter, fast_dev_run=True)
"""


def test_the_collector_pauses_and_goes_on() -> None:
    try:
        with heavy_imports():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_the_collector_goes_on_after_an_import_that_failed() -> None:
    try:
        with pytest.raises(ModuleNotFoundError), heavy_imports():
            raise ModuleNotFoundError("torch")
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_the_first_step_waits_for_nothing_that_only_evaluations_need(tmp_path: Path) -> None:
    write_colors(tmp_path, 6)
    write_colors(tmp_path, 3, "val")
    done = subprocess.run([sys.executable, "-c", _WATCHED], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
