from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from mitorch_service.errors import DataError
from mitorch_service.training.data.batches import loaders
from mitorch_service.training.data.batches.batch import BadImage, Batch, Sample
from mitorch_service.training.data.batches.delivery import Loaded, PickledBatch, raise_file_limit
from mitorch_service.training.data.batches.epoch_batches import EpochBatches
from mitorch_service.training.data.batches.loaders import Batches, default_workers
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.images.loading import Images
from mitorch_service.training.data.targets import Boxes


def noise(image: Image.Image, boxes: Boxes | None) -> tuple[Tensor, None]:
    return torch.rand(3, 4, 4), None


def collate(samples: Sequence[Sample]) -> Batch:
    return Batch(torch.stack([image for image, _ in samples]), torch.tensor([target for _, target in samples]))


def tensors(batch: Batch) -> tuple[Tensor, Tensor]:
    assert isinstance(batch.images, Tensor)
    assert isinstance(batch.targets, Tensor)
    return batch.images, batch.targets


def count_frozen(samples: Sequence[Sample]) -> Batch:
    return Batch(torch.zeros(len(samples), 3, 4, 4), torch.tensor(gc.get_freeze_count()))


def test_loading_processes_leave_what_they_share_alone(colors: tuple[ImageList, ImageList]) -> None:
    """Their collector does not write into the objects that were there before, which would copy them."""
    before = gc.get_freeze_count()  # of other tests: the commands freeze what they import
    with Batches(Images(colors[0], noise, 5), EpochBatches(24, 10), count_frozen, workers=1) as batches:
        frozen = [int(tensors(batch)[1]) for batch in batches.epoch(0)]
    assert min(frozen) > max(before, 10_000)
    assert gc.get_freeze_count() <= before  # one that was frozen may have been deleted


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_have_their_shape_and_are_the_same_with_any_number_of_workers(
    colors: tuple[ImageList, ImageList], workers: int
) -> None:
    def epochs(workers: int) -> list[tuple[Tensor, Tensor]]:
        images = Images(colors[0], noise, 5)
        with Batches(images, EpochBatches(24, 10, shuffle_seed=5), collate, workers=workers) as batches:
            assert (len(batches), batches.images) == (3, 24)
            return [tensors(batch) for number in range(2) for batch in batches.epoch(number)]

    got, expected = epochs(workers), epochs(0)
    assert [tuple(pixels.shape) for pixels, _ in got] == [(10, 3, 4, 4), (10, 3, 4, 4), (4, 3, 4, 4)] * 2
    for (pixels, labels), (expected_pixels, expected_labels) in zip(got, expected, strict=True):
        assert torch.equal(pixels, expected_pixels)
        assert torch.equal(labels, expected_labels)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_image_is_named_whichever_process_finds_it(tmp_path: Path, workers: int) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "train.txt").write_text("bad.png 0\n")
    images = Images(read_image_list(tmp_path / "train.txt", "pets train"), noise, 0)
    with (
        Batches(images, EpochBatches(1, 1), collate, workers=workers) as batches,
        pytest.raises(DataError, match=r"^pets train: the image .*bad\.png cannot be decoded"),
    ):
        list(batches.epoch(0))


def test_more_workers_than_cores_is_no_warning(colors: tuple[ImageList, ImageList]) -> None:
    with Batches(Images(colors[0], noise, 0), EpochBatches(24, 10), collate, workers=200) as batches:
        assert len(batches) == 3


def test_workers_are_for_sets_that_take_long_to_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    assert default_workers(images=1257, input_size=32) == 0
    assert default_workers(images=100_000, input_size=224) == 1


def die(samples: Sequence[Sample]) -> Batch:
    os.kill(os.getpid(), signal.SIGKILL)
    return collate(samples)


def test_a_loading_process_that_dies_is_told(colors: tuple[ImageList, ImageList]) -> None:
    images = Images(colors[0], noise, 5)
    with (
        pytest.raises(DataError, match=r"loads images has died .*Lower num_workers"),
        Batches(images, EpochBatches(24, 10), die, workers=1) as batches,
    ):
        list(batches.epoch(0))


def exit_quietly(samples: Sequence[Sample]) -> Batch:
    os._exit(0)


def test_a_loading_process_that_ends_is_told(
    colors: tuple[ImageList, ImageList], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaders, "_POLL", 0.2)
    with (
        pytest.raises(DataError, match=r"loads images has died .*exited unexpectedly"),
        Batches(Images(colors[0], noise, 5), EpochBatches(24, 10), exit_quietly, workers=1) as batches,
    ):
        list(batches.epoch(0))


def hang(samples: Sequence[Sample]) -> Batch:
    time.sleep(60)
    return collate(samples)


def test_a_feed_that_stalls_is_told_then_fails(
    colors: tuple[ImageList, ImageList], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loaders, "_POLL", 0.1)
    monkeypatch.setattr(loaders, "_STALL_TOLD", 0.1)
    batches = Batches(Images(colors[0], noise, 5), EpochBatches(24, 10), hang, workers=1, stall_timeout=0.2)
    with pytest.raises(DataError, match=r"No batch of images .* for 0\.2 s.*raise data\.stall_timeout"), batches:
        list(batches.epoch(0))
    assert caplog.messages == ["no batch of images for 0.1 s; giving up after 0.2 s"]


def stop(samples: Sequence[Sample]) -> Batch:
    """Stops this process between a batch and its delivery, as a debugger or `kill -STOP` does."""
    if multiprocessing.parent_process() is not None:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGSTOP)).start()
    return collate(samples)


def test_a_process_that_is_stopped_before_it_hands_a_batch_over_is_told(
    colors: tuple[ImageList, ImageList], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaders, "_POLL", 0.1)
    others = set(multiprocessing.active_children())
    batches = Batches(Images(colors[0], noise, 5), EpochBatches(24, 10), stop, workers=1, stall_timeout=0.5)
    with pytest.raises(DataError, match="No batch of images"), batches:
        arriving = batches.epoch(0)
        next(arriving)
        time.sleep(0.5)  # the next are ready, and the process that has them is stopped
        list(arriving)
    assert not set(multiprocessing.active_children()) - others


def boxes_of(count: int) -> dict[str, Tensor]:
    return {"boxes": torch.rand(count, 4), "labels": torch.arange(count)}


def test_a_batch_travels_in_three_tensors_at_most() -> None:
    images = [torch.randint(0, 255, (3, 4 + index, 5), dtype=torch.uint8) for index in range(9)]
    sent = Batch(images, [boxes_of(index % 3) for index in range(9)])
    assert pickle.dumps(sent).count(b"_rebuild_tensor") == 1  # the name is written once, then referred to
    got = pickle.loads(pickle.dumps(sent))
    assert all(map(torch.equal, images, got.images))
    for one, other in zip(sent.targets, got.targets, strict=True):
        assert isinstance(one, dict)
        assert [other[name].shape for name in one] == [value.shape for value in one.values()]
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_batch_is_pinned_after_it_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the thread that PyTorch has for it where there is CUDA."""
    pinned: list[torch.Size] = []

    def pin(tensor: Tensor) -> Tensor:
        pinned.append(tensor.shape)
        return tensor.clone()

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    sent = PickledBatch.of(Loaded(Batch(torch.ones(2, 3, 4, 4), torch.tensor([0, 1])), (BadImage("bad", 2),)))
    assert isinstance(sent, PickledBatch)
    got = sent.pin_memory()
    assert got.batch is not None
    assert pinned == [(2, 3, 4, 4), (2,)]
    assert got.bad == (BadImage("bad", 2),)


def uneven(samples: Sequence[Sample]) -> Batch:
    """A batch of detection: images of different sizes, with boxes."""
    images = [torch.zeros(3, 4 + index, 5, dtype=torch.uint8) for index in range(len(samples))]
    return Batch(images, [boxes_of(index) for index in range(len(samples))])


@pytest.fixture
def leave_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Sets how many files this process may still open."""
    monkeypatch.setattr(loaders, "raise_file_limit", lambda: None)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def leave(count: int) -> None:
        used = {int(file.name) for file in Path("/proc/self/fd").iterdir()}
        free = (number for number in range(soft) if number not in used)
        resource.setrlimit(resource.RLIMIT_NOFILE, (next(islice(free, count, None)), hard))

    yield leave
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_detection_needs_few_open_files(
    colors: tuple[ImageList, ImageList], leave_files: Callable[[int], None]
) -> None:
    kept = []
    with Batches(Images(colors[0], noise, 5), EpochBatches(24, 12), uneven, workers=2, stall_timeout=5) as batches:
        leave_files(60)
        for number in range(30):  # an evaluator keeps all targets
            kept += [batch.targets for batch in batches.epoch(number)]
    assert len(kept) == 60


@pytest.mark.parametrize("later", [False, True])
def test_too_few_open_files_are_told(
    colors: tuple[ImageList, ImageList], leave_files: Callable[[int], None], later: bool
) -> None:
    """Also where only the main process has too few, as it opens further ones while the processes run."""
    with (
        pytest.raises(DataError, match=r"did not arrive .*Raise the limit of open files, which is \d+ \(ulimit -n\)"),
        Batches(Images(colors[0], noise, 5), EpochBatches(24, 2), uneven, workers=1, stall_timeout=5) as batches,
    ):
        leave_files(60 if later else 15)
        arriving = batches.epoch(0)
        next(arriving)
        leave_files(1)
        list(arriving)


def test_the_limit_of_open_files_is_raised() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(65536, hard), hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def slow(samples: Sequence[Sample]) -> Batch:
    time.sleep(0.1)
    return collate(samples)


def test_an_epoch_left_early_does_not_disturb_the_next(
    colors: tuple[ImageList, ImageList], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaders, "_POLL", 0.05)
    with Batches(Images(colors[0], noise, 5), EpochBatches(24, 10), slow, workers=1, stall_timeout=20) as batches:
        next(batches.epoch(0))
        assert [len(batch) for batch in batches.epoch(1)] == [10, 10, 4]
