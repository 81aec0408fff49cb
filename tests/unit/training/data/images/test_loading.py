from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image, features
from torch import Tensor

from mitorch_service.errors import DataError
from mitorch_service.training.data.batches.batch import BadImage
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageLocation
from mitorch_service.training.data.images.image_files import Limits
from mitorch_service.training.data.images.loading import ImageKey, Images, read_image
from mitorch_service.training.data.targets import Boxes
from mitorch_service.training.data.zip_index import ZipFiles
from tests.unit.training.pictures import png


def noise(image: Image.Image, boxes: Boxes | None) -> tuple[Tensor, None]:
    return torch.rand(3) + image.width, None


def dataset(folder: Path, *images: str, seed: int = 0) -> Images:
    (folder / "train.txt").write_text("".join(f"{image} {label}\n" for label, image in enumerate(images)))
    return Images(read_image_list(folder / "train.txt", "train"), noise, seed)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", png("red"))
        archive.writestr("b.png", png("blue", (5, 5)))
        archive.writestr("cut.png", png("red", (40, 40))[:-30])
    return tmp_path / "x.zip"


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK"])
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    name = "a.tif" if mode == "CMYK" else "a.png"
    Image.new(mode, (4, 3)).save(tmp_path / name)
    image = read_image(ImageLocation(tmp_path / name), ZipFiles()).image
    assert (image.mode, image.size) == ("RGB", (4, 3))


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path: Path) -> None:
    Image.new("P", (4, 3)).save(tmp_path / "a.png", transparency=b"\x00\xff")
    assert read_image(ImageLocation(tmp_path / "a.png"), ZipFiles()).image.mode == "RGB"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cut.png", png("red", (40, 40))[:-30], "cut.png cannot be decoded"),
        ("text.png", b"hello", "text.png cannot be decoded"),
        ("empty.png", b"", "empty.png cannot be decoded"),
        ("head.png", png("red")[:20], "head.png cannot be decoded"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_image(ImageLocation(tmp_path / name), ZipFiles())


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_damaged_avif_is_named(tmp_path: Path) -> None:
    """Its decoder raises other errors than those of other formats."""
    buffer = BytesIO()
    Image.effect_noise((64, 48), 90).convert("RGB").save(buffer, "AVIF")
    content, chance = buffer.getvalue(), random.Random(0)
    for _ in range(300):
        damaged = bytearray(content)
        damaged[chance.randrange(300)] = chance.randrange(256)
        (tmp_path / "a.avif").write_bytes(damaged)
        try:
            read_image(ImageLocation(tmp_path / "a.avif"), ZipFiles())
        except DataError as error:
            assert "a.avif cannot be decoded" in str(error)


def encapsulated_postscript(size: tuple[int, int]) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size).save(buffer, "EPS")
    return buffer.getvalue()


def test_the_content_decides_not_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow has a program draw vector graphics, which may run for ever."""
    monkeypatch.setattr(subprocess, "Popen", None)
    (tmp_path / "a.png").write_bytes(encapsulated_postscript((9, 8)))
    with pytest.raises(DataError, match=r"a\.png cannot be decoded \(not an image in one of the formats JPEG, PNG,"):
        read_image(ImageLocation(tmp_path / "a.png"), ZipFiles())
    (tmp_path / "b.jpg").write_bytes(png("red"))
    assert read_image(ImageLocation(tmp_path / "b.jpg"), ZipFiles()).stored_size == (9, 8)


def test_an_image_of_too_many_pixels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png("red", (40, 30)))
    location = ImageLocation(tmp_path / "a.png")
    assert read_image(location, ZipFiles(), limits=Limits(1200, 1)).stored_size == (40, 30)
    message = r"a\.png has 40x30 pixels, more than data\.max_pixels allows \(1199\)\. Raise that limit in the config"
    with pytest.raises(DataError, match=message):
        read_image(location, ZipFiles(), limits=Limits(1199, 1))


def test_an_image_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", png("red") + bytes(1 << 20))
    location = ImageLocation(tmp_path / "x.zip", "a.png")
    assert read_image(location, ZipFiles(), limits=Limits(100, 1 << 21)).stored_size == (9, 8)
    message = r"x\.zip@a\.png has 0\.000977 GiB when unpacked, more than data\.max_unpacked_size allows \(0\.000488\)"
    with pytest.raises(DataError, match=message):
        read_image(location, ZipFiles(), limits=Limits(100, 1 << 19))


def test_only_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    expected = {"/dev/zero": "a device", str(tmp_path / "pipe.png"): "a pipe", "a\0b.png": "a name that no file"}
    for name, problem in (expected | {"x" * 300: "File name too long"}).items():
        with pytest.raises(DataError, match=f"cannot be decoded .*{problem}"):
            read_image(ImageLocation(Path(name)), ZipFiles())


def test_what_is_missing_is_named(tmp_path: Path, archive: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png is missing"):
        read_image(ImageLocation(tmp_path / "a.png"), ZipFiles())
    with pytest.raises(DataError, match=r"x\.zip has no entry 'z\.png'"):
        read_image(ImageLocation(archive, "z.png"), ZipFiles())
    with pytest.raises(DataError, match=r"x\.zip@cut\.png cannot be decoded"):
        read_image(ImageLocation(archive, "cut.png"), ZipFiles())


def test_a_damaged_entry_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", png("red"))
    content = bytearray((tmp_path / "x.zip").read_bytes())
    content[60] ^= 0xFF  # within the entry: its checksum no longer fits
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.zip@a\.png cannot be decoded \(Bad CRC-32"):
        read_image(ImageLocation(tmp_path / "x.zip", "a.png"), ZipFiles())


def test_the_dataset_gives_a_marker_for_a_bad_image(tmp_path: Path, archive: Path) -> None:
    bad = dataset(tmp_path, "x.zip@cut.png")[ImageKey(0, 0)]
    assert isinstance(bad, BadImage)
    assert bad.message.startswith("train: the image")


def sample(images: Images, epoch: int, index: int) -> Tensor:
    got = images[ImageKey(epoch, index)]
    assert not isinstance(got, BadImage)
    return got[0]


def test_randomness_depends_on_seed_epoch_and_image_alone(tmp_path: Path, archive: Path) -> None:
    images = dataset(tmp_path, "x.zip@a.png", "x.zip@b.png")
    first = sample(images, 0, 0)
    other_epoch, other_image = sample(images, 1, 0), sample(images, 0, 1)
    torch.rand(100)
    assert torch.equal(sample(images, 0, 0), first)
    assert not torch.equal(other_epoch, first)
    assert not torch.equal(other_image, first)
    assert not torch.equal(sample(dataset(tmp_path, "x.zip@a.png", seed=1), 0, 0), first)


def test_the_global_generator_is_left_as_it_was(tmp_path: Path, archive: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    sample(dataset(tmp_path, "x.zip@a.png"), 0, 0)
    assert torch.equal(torch.rand(2), expected)


def test_handles_do_not_travel(tmp_path: Path, archive: Path) -> None:
    images = dataset(tmp_path, "x.zip@a.png")
    expected = sample(images, 0, 0)
    assert torch.equal(sample(pickle.loads(pickle.dumps(images)), 0, 0), expected)


def read_many(zips: ZipFiles, path: Path, failures: multiprocessing.Queue[int]) -> None:
    wrong = sum(Image.open(BytesIO(zips.read(path, name))).size != size for name, size in SIZES * 300)
    failures.put(wrong)


SIZES = [("a.png", (9, 8)), ("b.png", (5, 5))]


def test_forks_read_at_the_same_time(archive: Path) -> None:
    """Two processes that moved each other's position in the file would read rubbish."""
    zips = ZipFiles()
    zips.read(archive, "a.png")
    context = multiprocessing.get_context("fork")
    failures: multiprocessing.Queue[int] = context.Queue()
    children = [context.Process(target=read_many, args=(zips, archive, failures)) for _ in range(2)]
    for child in children:
        child.start()
    assert [failures.get(timeout=60) for _ in children] == [0, 0]
    for child in children:
        child.join()
    zips.close()
