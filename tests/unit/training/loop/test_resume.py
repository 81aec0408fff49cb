"""A training that was killed gives, gone on with, the curve and the weights that it would have given."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import ModelError
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.loop.checkpoints.checkpoint import Checkpoints, read_state, write_state
from mitorch_service.training.loop.engine import TrainingOutcome, train
from mitorch_service.training.networks.downloads import no_downloads
from mitorch_service.training.networks.weights import save_weights
from tests.unit.training.loop.interrupted import CLOCK, Lists, config
from tests.unit.training.pictures import write_colors
from tests.unit.training.recorder import Killed, Recorder
from tests.unit.training.shapes import draw_shapes, write_detection

MID_EPOCH = {"checkpoint": {"minutes": 1e-9}}  # after each step


class Drill:
    """Trains whole and with an interruption, on the same data."""

    def __init__(self, folder: Path, lists: Lists) -> None:
        self._folder, self._lists = folder, lists

    def train(self, given: TrainingConfig, recorder: Recorder, name: str = "cut") -> TrainingOutcome:
        with Checkpoints(FolderArtifactStore(self._folder), f"{name}/") as checkpoints:
            return train(given, *self._lists, reporter=recorder, checkpoints=checkpoints)

    def run(self, given: TrainingConfig, kill_at: tuple[int, int]) -> Recorder:
        """The second process's reports; compares everything with a training that was not interrupted."""
        whole, first, second = Recorder(), Recorder(kill_at=kill_at), Recorder()
        expected = self.train(given, whole, "whole")
        with pytest.raises(Killed):
            self.train(given, first)
        torch.rand(7)  # another process would not have the same random numbers either
        outcome = self.train(given, second)
        assert any(note.startswith("Resuming from a checkpoint") for note in second.notes)
        kept = [result for result in first.results if result.epoch < second.results[0].epoch]
        assert len(kept) + len(second.results) == len(whole.results)
        assert [one.model_dump(exclude=CLOCK) for one in outcome.history] == [
            one.model_dump(exclude=CLOCK) for one in expected.history
        ]
        assert second.losses == whole.losses[len(whole.losses) - len(second.losses) :]
        assert outcome.evaluation == expected.evaluation
        assert outcome.state_dict.keys() == expected.state_dict.keys()
        assert all(torch.equal(tensor, expected.state_dict[name]) for name, tensor in outcome.state_dict.items())
        return second


@pytest.mark.parametrize("part", ["learner", "random", "selection"])
def test_a_state_that_cannot_be_loaded_starts_from_the_first_epoch(
    tmp_path: Path, multiclass: Lists, part: str
) -> None:
    """Its digest and its parts are right, what is in them is not: as if there were no checkpoint."""
    drill, given = Drill(tmp_path / "artifacts", multiclass), config(max_epochs=1)
    whole = drill.train(given, Recorder(), "whole")
    with pytest.raises(Killed):
        drill.train(config(max_epochs=1, **MID_EPOCH), Recorder(kill_at=(1, 3)))
    for file in (tmp_path / "artifacts" / "cut").glob("checkpoint-*/state.pt"):
        state = read_state(file)
        assert state is not None
        damaged: dict[str, Any] = {
            "learner": {**state["learner"], "optimizer": {"state": {}, "param_groups": []}},
            "random": [{"python": 3}],
            "selection": {},
        }
        write_state({**state, part: damaged[part]}, file)
    recorder = Recorder()
    outcome = drill.train(given, recorder)
    assert "cannot be loaded: " in recorder.notes[0]
    assert recorder.steps[0][:2] == (1, 1)
    assert outcome.evaluation == whole.evaluation
    assert all(torch.equal(tensor, whole.state_dict[name]) for name, tensor in outcome.state_dict.items())


PRETRAINED: dict[str, Any] = {
    "model": {"name": "test_resnet", "input_size": 32, "pretrained": True},
    "max_epochs": 2,
    "batch_size": 24,
}


def test_pretrained_weights_are_not_fetched_for_what_replaces_them(
    tmp_path: Path, multiclass: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint, or weights that are complete; the tests have no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    drill, given = Drill(tmp_path / "artifacts", multiclass), config(**PRETRAINED)
    with no_downloads(), pytest.raises(Killed):
        drill.train(given, Recorder(kill_at=(2, 1)))
    outcome = drill.train(given, Recorder())
    assert outcome.epochs == 2
    save_weights(outcome.state_dict, tmp_path / "whole.pth")
    assert train(given, *multiclass, base_weights=tmp_path / "whole.pth", fast_dev_run=True).epochs == 1
    save_weights({"fc.bias": outcome.state_dict["fc.bias"]}, tmp_path / "part.pth")
    with pytest.raises(ModelError, match="cannot be downloaded"):
        train(given, *multiclass, base_weights=tmp_path / "part.pth")
    for file in (tmp_path / "artifacts" / "cut").glob("checkpoint-*/state.pt"):
        found = read_state(file)
        assert found is not None
        write_state({**found, "selection": {}}, file)  # cannot be loaded: from the first epoch
    with pytest.raises(ModelError, match="cannot be downloaded"):
        drill.train(given, Recorder())


@pytest.fixture
def multilabel(tmp_path: Path) -> Lists:
    for name, count in (("train", 24), ("val", 9)):
        text = write_colors(tmp_path, count, name)
        lines = [f"{line}{',0' if place % 2 else ','}" for place, line in enumerate(text.read_text().splitlines())]
        text.write_text("\n".join(lines) + "\n")
    return read_image_list(tmp_path / "train.txt"), read_image_list(tmp_path / "val.txt")


@pytest.fixture
def detection(tmp_path: Path) -> Lists:
    drawings = draw_shapes(9)
    train_text, val_text = write_detection(tmp_path, drawings[:6]), write_detection(tmp_path, drawings[6:], "val")
    return read_image_list(train_text), read_image_list(val_text)


TASKS: dict[str, dict[str, Any]] = {
    "multiclass": {},
    "multilabel": {"task_type": "multilabel_classification"},
    "detection": {
        "task_type": "object_detection",
        "model": {"name": "test_resnet-ssdlite", "input_size": 64},
        "augmentation": {"train": ["random_iou_crop", "horizontal_flip"]},
        "batch_size": 2,
    },
}


@pytest.mark.parametrize(
    ("task", "kill_at"),
    [
        ("multiclass", (2, 2)),
        ("multiclass", (2, 1)),
        ("multilabel", (2, 2)),
        pytest.param(
            "detection", (2, 1), marks=pytest.mark.long
        ),  # the slowest; in the midst of an epoch: `test_averages_of_the_other_tasks`
    ],
)
def test_to_the_last_bit_for_each_task(
    request: pytest.FixtureRequest, tmp_path: Path, task: str, kill_at: tuple[int, int]
) -> None:
    """Killed in the midst of an epoch, of which a checkpoint holds a part; and at an epoch's start."""
    within = MID_EPOCH if kill_at[1] > 1 else {}
    given = config(**TASKS[task], **within, max_epochs=2)
    second = Drill(tmp_path, request.getfixturevalue(task)).run(given, kill_at)
    first_step = second.steps[0][:2]
    assert first_step == ((2, 2) if within else (2, 1))


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": {"name": "adamw"}, "ema": {"decay": 0.9}},
        {"swa": {"start": 0.3}, "lr_scheduler": {"name": "constant", "base_lr": 0.01}},
        {"lr_scheduler": {"name": "plateau", "base_lr": 0.05, "patience": 0}, "keep_weights": "best"},
        {"gradient": {"accumulate": 2, "clip_norm": 0.5}, "optimizer": {"name": "lion"}},
        {"precision": "bf16", "optimizer": {"name": "rmsprop"}, "on_divergence": "lower_lr"},
        {"num_workers": 2, "augmentation": {"train": ["resize", "mixup"], "val": "resize"}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_all_that_the_next_step_depends_on_is_kept(tmp_path: Path, multiclass: Lists, fields: dict[str, Any]) -> None:
    second = Drill(tmp_path, multiclass).run(config(**fields, **MID_EPOCH, max_epochs=2), kill_at=(2, 2))
    assert second.steps[0][:2] == (2, 1 if "gradient" in fields else 2)  # a sum of gradients is begun again


@pytest.mark.parametrize(
    ("task", "fields"),
    [
        ("detection", {"gradient": {"accumulate": 2}, "ema": {"decay": 0.9}, "optimizer": {"name": "adamw"}}),
        ("multilabel", {"swa": {"start": 0.3}, "gradient": {"clip_value": 0.1}}),
    ],
)
def test_averages_of_the_other_tasks(
    request: pytest.FixtureRequest, tmp_path: Path, task: str, fields: dict[str, Any]
) -> None:
    given = config(**TASKS[task], **fields, **MID_EPOCH, max_epochs=2)
    second = Drill(tmp_path, request.getfixturevalue(task)).run(given, kill_at=(2, 3))
    assert second.steps[0][:2] == (2, 3)


def test_a_damaged_checkpoint_costs_the_way_from_the_one_before(tmp_path: Path, multiclass: Lists) -> None:
    drill = Drill(tmp_path, multiclass)
    whole, second = Recorder(), Recorder()
    drill.train(config(), whole, "whole")
    with pytest.raises(Killed):
        drill.train(config(), Recorder(kill_at=(3, 2)))
    newest = max(tmp_path.glob("cut/checkpoint-*/state.pt"))
    newest.write_bytes(newest.read_bytes()[:1000])
    drill.train(config(), second)
    assert second.notes == ["Resuming from a checkpoint: epoch 2, step 1."]
    assert second.curve() == whole.curve()[1:]


def test_a_training_that_was_done_only_gives_its_outcome(tmp_path: Path, multiclass: Lists) -> None:
    drill = Drill(tmp_path, multiclass)
    first, second = Recorder(), Recorder()
    done = drill.train(config(max_epochs=2), first)
    again = drill.train(config(max_epochs=2), second)
    assert (second.steps, again.evaluation, again.epochs) == ([], done.evaluation, 2)


def test_other_settings_start_anew_but_other_workers_go_on(tmp_path: Path, multiclass: Lists) -> None:
    drill = Drill(tmp_path, multiclass)
    drill.train(config(max_epochs=1), Recorder())
    other, same = Recorder(), Recorder()
    drill.train(config(max_epochs=1, batch_size=12), other)
    assert other.notes == ["The checkpoint is of another config or data set: the training starts from its first epoch."]
    loading = {"num_workers": 1, "data": {"cache_memory": 0, "on_error": "skip"}}
    drill.train(config(max_epochs=1, batch_size=12, **loading), same)
    assert same.steps == []


@pytest.mark.parametrize("task", TASKS)
def test_other_images_or_labels_start_anew(request: pytest.FixtureRequest, tmp_path: Path, task: str) -> None:
    """Two lists of the same number of images: the order and the labels count."""
    train_list, val_list = request.getfixturevalue(task)
    given, checkpoints = config(**TASKS[task], max_epochs=1), tmp_path / "kept"
    Drill(checkpoints, (train_list, val_list)).train(given, Recorder())
    lines = (tmp_path / "train.txt").read_text().splitlines()
    images, labels = zip(*(line.rsplit(" ", 1) for line in lines), strict=True)
    edited = [f"{image} {label}" for image, label in zip(images, (*labels[1:], labels[0]), strict=True)]
    for changed in (lines[::-1], edited):
        (tmp_path / "train.txt").write_text("\n".join(changed))
        again = Recorder()
        Drill(checkpoints, (read_image_list(tmp_path / "train.txt"), val_list)).train(given, again)
        assert again.notes[0].startswith("The checkpoint is of another config or data set")


def test_a_checkpoint_that_another_thread_asks_for_is_that_of_the_next_step(tmp_path: Path, multiclass: Lists) -> None:
    """Before a time limit. Nobody would have saved one in the middle of the epoch."""
    answers: list[bool] = []

    class Asking(Recorder):
        def step_ended(self, epoch: int, step: int, steps: int, loss: float) -> None:
            if (epoch, step) == (2, 2):
                asking.start()
                while not request.is_open():
                    time.sleep(0.001)
            super().step_ended(epoch, step, steps, loss)

    with pytest.raises(Killed), Checkpoints(FolderArtifactStore(tmp_path), "cut/") as checkpoints:
        request = checkpoints.request
        asking = threading.Thread(target=lambda: answers.append(request.wait_for_checkpoint(20)))
        assert not request.wait_for_checkpoint(20)  # at once: there is nothing to save yet
        with request.while_training():
            train(config(), *multiclass, reporter=Asking(kill_at=(2, 3)), checkpoints=checkpoints)
    asking.join()
    assert answers == [True]
    state = Checkpoints(FolderArtifactStore(tmp_path), "cut/").latest()
    assert state is not None
    assert (state["epoch"], state["step"]) == (1, 2)
    assert not request.is_open()
