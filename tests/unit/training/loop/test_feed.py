from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import v2

from mitorch_service.errors import DataError
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.batches.batch import Batch
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.loop.feed import Feed, open_feed
from mitorch_service.training.networks.network import Network
from mitorch_service.training.tasks.base import open_task
from tests.unit.training.pictures import write_colors

CPU = torch.device("cpu")
NETWORK = Network(nn.Identity(), (0.5, 0.4, 0.3), (0.2, 0.25, 0.5))
CONFIG = {
    "model": {"name": "test_resnet", "input_size": 16},
    "lr_scheduler": {"name": "constant", "base_lr": 0.1},
    "max_epochs": 1,
    "batch_size": 5,
    "num_workers": 0,
}


def feed(image_list: ImageList, training: bool = True, task: str = "multiclass_classification", **fields: Any) -> Feed:
    how = {name: fields.pop(name) for name in ("rank", "world_size", "at_most") if name in fields}
    config = TrainingConfig.model_validate({**CONFIG, "task_type": task, **fields})
    return open_feed(config, image_list, open_task(task), NETWORK, CPU, training=training, **how)


def images_of(batches: Iterator[Batch]) -> list[Tensor]:
    found = []
    for batch in batches:
        assert isinstance(batch.images, Tensor)
        found.append(batch.images)
    return found


def test_values_are_scaled_and_normalised_to_the_bits_of_torchvision(colors: tuple[ImageList, ImageList]) -> None:
    with feed(colors[1], training=False, augmentation={"val": "resize"}) as batches:
        got = torch.cat(images_of(batches.epoch(0)))
    steps = [v2.Resize((16, 16)), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
    transform = v2.Compose([*steps, v2.Normalize(NETWORK.mean, NETWORK.std)])
    files = [colors[1].location(index).path for index in range(len(colors[1]))]
    assert torch.equal(got, torch.stack([transform(Image.open(file)) for file in files]))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_can_be_gone_on_with(colors: tuple[ImageList, ImageList], workers: int) -> None:
    mixed = {"train": ["random_resized_crop", "mixup"]}
    with feed(colors[0], augmentation=mixed, num_workers=workers) as batches:
        whole, rest = images_of(batches.epoch(2)), images_of(batches.epoch(2, first=3))
        assert len(batches) == len(whole) == 5
    assert len(rest) == 2
    assert all(torch.equal(one, other) for one, other in zip(whole[3:], rest, strict=True))


def test_processes_share_each_batch(colors: tuple[ImageList, ImageList]) -> None:
    with feed(colors[0]) as batches:
        whole = images_of(batches.epoch(1))
    shares = []
    for rank in range(2):
        with feed(colors[0], rank=rank, world_size=2) as batches:
            shares.append(images_of(batches.epoch(1)))
    for batch, first, second in zip(whole, *shares, strict=True):
        assert torch.equal(batch[0::2], first)
        assert torch.equal(batch[1::2], second)


def test_the_cache_and_the_workers_change_no_bit(colors: tuple[ImageList, ImageList]) -> None:
    def two_epochs(workers: int, memory: float) -> list[Tensor]:
        with feed(colors[0], num_workers=workers, data={"cache_memory": memory}) as batches:
            return [image for epoch in (0, 1) for image in images_of(batches.epoch(epoch))]

    expected = two_epochs(0, 0)
    for workers, memory in ((0, 1), (2, 1), (0, 1e-6)):
        assert all(map(torch.equal, two_epochs(workers, memory), expected))


def damaged(folder: Path) -> ImageList:
    path = write_colors(folder, 12)
    for index in (1, 7):
        (folder / "train" / f"{index}.png").write_bytes(b"no picture")
    return read_image_list(path, "colors")


@pytest.mark.parametrize("training", [True, False])
def test_damaged_images_can_be_skipped(tmp_path: Path, training: bool, caplog: pytest.LogCaptureFixture) -> None:
    with feed(damaged(tmp_path), training, data={"on_error": "skip"}) as batches:
        sizes = [len(batch) for epoch in (0, 1) for batch in batches.epoch(epoch)]
        assert sum(sizes) == 2 * (12 if training else 10)  # in training others stand in for them
        messages = sorted(batches.skipped())
    assert len(messages) == 2
    told = [message for message in caplog.messages if "2 images are left out, as loading fails" in message]
    assert len(told) == 1  # not in each epoch again
    assert "1.png cannot be decoded" in messages[0]
    assert "7.png cannot be decoded" in messages[1]


def test_a_damaged_image_ends_the_epoch_unless_told_otherwise(tmp_path: Path) -> None:
    with (
        feed(damaged(tmp_path), training=False) as batches,
        pytest.raises(DataError, match=r"colors: the image .*1\.png cannot be decoded .* set data\.on_error to 'skip'"),
    ):
        list(batches.epoch(0))


def test_a_batch_of_damaged_images_is_an_error_all_the_same(tmp_path: Path) -> None:
    with (
        feed(damaged(tmp_path), training=False, batch_size=1, data={"on_error": "skip"}) as batches,
        pytest.raises(DataError, match="No image of a whole batch can be loaded"),
    ):
        list(batches.epoch(0))


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixed_images_have_their_classes_in_the_same_shares(colors: tuple[ImageList, ImageList], name: str) -> None:
    """With only red, green and blue noise, each image's mean colour tells how much of each class is in it."""
    augmentation = {"train": ["resize", {"name": name, "options": {"alpha": 1.0}}]}
    with feed(colors[0], augmentation=augmentation, batch_size=24) as batches:
        first, second, again = (next(batches.epoch(epoch)) for epoch in (0, 1, 0))
    for batch in (first, second):
        assert isinstance(batch.images, Tensor)
        assert isinstance(batch.targets, Tensor)
        assert batch.targets.shape == (24, 3)
        assert torch.allclose(batch.targets.sum(1), torch.ones(24))
        std, mean = torch.tensor(NETWORK.std), torch.tensor(NETWORK.mean)
        amounts = ((batch.images.mean((2, 3)) * std + mean) * 255 - 90) / 100  # of each colour, beside noise
        assert (amounts - batch.targets).abs().max() < 0.12
    assert isinstance(first.targets, Tensor)
    assert isinstance(again.targets, Tensor)
    assert torch.equal(first.targets, again.targets)
    assert isinstance(second.targets, Tensor)
    assert not torch.equal(first.targets, second.targets)


def test_several_labels_can_be_mixed(tmp_path: Path) -> None:
    write_colors(tmp_path, 6)
    text = "".join(f"train/{index}.png {index % 3},{(index + 1) % 3}\n" for index in range(6))
    (tmp_path / "train.txt").write_text(text)
    image_list = read_image_list(tmp_path / "train.txt")
    with feed(image_list, task="multilabel_classification", augmentation={"train": "mixup"}) as batches:
        batch = next(batches.epoch(0))
    assert isinstance(batch.targets, Tensor)
    assert torch.allclose(batch.targets.sum(1), torch.full((5,), 2.0))


def test_a_validation_is_in_the_order_of_the_file_and_never_mixed(colors: tuple[ImageList, ImageList]) -> None:
    with feed(colors[1], training=False, batch_size=9) as batches:
        batch = next(batches.epoch(0))
    assert isinstance(batch.targets, Tensor)
    assert batch.targets.tolist() == [0, 1, 2] * 3


def test_boxes_reach_the_batch(tmp_path: Path) -> None:
    Image.new("RGB", (32, 16), "red").save(tmp_path / "a.png")
    Image.new("RGB", (16, 16), "red").save(tmp_path / "b.png")
    (tmp_path / "a.txt").write_text("1 0 4 16 8\n")
    (tmp_path / "b.txt").write_text("")
    (tmp_path / "train.txt").write_text("a.png a.txt\nb.png b.txt\n")
    with feed(read_image_list(tmp_path / "train.txt"), training=False, task="object_detection") as batches:
        batch = next(batches.epoch(0))
    assert isinstance(batch.targets, list)
    assert batch.targets[0]["boxes"].tolist() == [[0, 6, 8, 8]]  # halved, and moved down by the bar
    assert batch.targets[0]["labels"].tolist() == [1]
    assert batch.targets[1]["boxes"].shape == (0, 4)


def test_trying_out_takes_few_batches(colors: tuple[ImageList, ImageList]) -> None:
    with feed(colors[0], at_most=1) as batches:
        assert (len(batches), len(list(batches.epoch(0))), batches.images) == (1, 1, 24)
