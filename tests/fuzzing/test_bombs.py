"""Small files that stand for a lot: refused, or read without the time and the memory that they ask for."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.fuzzing.registry import load_all
from tests.fuzzing.target import run
from tests.fuzzing.targets.archives import backup_of

TARGETS = load_all()
_TEXTS = (
    *("config-json", "config-yaml", "dataset-definitions", "exp-config", "clusters", "placement", "webhooks"),
    *("vott-message", "workload", "replay-clusters", "data-coco", "last-pass", "run-exit", "azureml-definition"),
)
_YAML = ("config-yaml", "azureml-definition")
NESTED = (b"[" * 100_000, b'{"a":' * 100_000, b'[{"a":' * 50_000)
NUMBERS = (b"1e400", b"-1e400", b"NaN", b"Infinity", b"9" * 5000, b"-" + b"9" * 400, b"1e-9999")
LAUGHS = b"a0: &a0 [x, x]\n" + b"\n".join(
    b"a%d: &a%d [%s]" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 40)
)
MERGES = b"a0: &a0 {x: 1}\n" + b"\n".join(
    b"a%d: &a%d {<<: [*a%d, *a%d], b%d: 1}" % (n, n, n - 1, n - 1, n) for n in range(1, 40)
)


def taken(name: str, content: bytes, folder: Path) -> None:
    finding = run(TARGETS[name], content, folder)
    assert finding is None, finding.told


@pytest.mark.parametrize("name", _TEXTS)
def test_nesting_and_numbers(name: str, tmp_path: Path) -> None:
    deep = [one[:900] for one in NESTED] if name in _YAML else NESTED  # YAML is read by Python, slowly
    for content in (*deep, *NUMBERS):
        taken(name, content, tmp_path)
    seed = TARGETS[name].seeds[0]
    for number in NUMBERS:
        for digit in (b": 1", b": 0.01", b": 2", b": 3", b": 0"):
            if digit in seed:
                taken(name, seed.replace(digit, b": " + number, 1), tmp_path)


@pytest.mark.parametrize("name", ["config-yaml", "azureml-definition", "import-mlflow-meta", "data-data.yaml"])
@pytest.mark.parametrize("content", [LAUGHS, MERGES], ids=["aliases", "merges"])
def test_yaml_anchors(name: str, content: bytes, tmp_path: Path) -> None:
    taken(name, content, tmp_path)


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(20_000_000), 9))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + text
        + chunk(b"IDAT", zlib.compress(bytes(1_000_000)))
        + chunk(b"IEND", b"")
    )


def _jpeg(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG")
    content = buffer.getvalue()
    place = content.index(b"\xff\xc0") + 5  # the frame's header: height and width
    return content[:place] + struct.pack(">HH", height, width) + content[place + 4 :]


def _bmp(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "BMP")
    content = buffer.getvalue()
    return content[:18] + struct.pack("<ii", width, height) + content[26:]


@pytest.mark.parametrize("make", [_png, _jpeg, _bmp])
def test_images_of_billions_of_pixels(make: Callable[[int, int], bytes], tmp_path: Path) -> None:
    taken("image", make(50_000, 50_000), tmp_path)
    with pytest.raises(Exception, match=r"pixels|decoded"):
        TARGETS["image"].parse(make(50_000, 50_000), tmp_path)


def _repeated(block: bytes, times: int) -> tuple[bytes, int]:
    """Returns `times` equal blocks as they are when deflated, and their checksum, without deflating each."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    total = 0
    for _ in range(times):
        total = zlib.crc32(block, total)
    return first * times + packer.flush(zlib.Z_FINISH), total


def _zip(name: str, block: bytes, times: int) -> bytes:
    """A zip archive of a member that is deflated as `_repeated` does."""
    packed, total = _repeated(block, times)
    encoded, size = name.encode(), len(block) * times
    head = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, total, len(packed), size, len(encoded), 0)
    local = b"PK\x03\x04" + head + encoded
    central = b"PK\x01\x02" + struct.pack("<H", 20) + head + struct.pack("<HHHII", 0, 0, 0, 0, 0) + encoded
    end = struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local) + len(packed), 0)
    return local + packed + central + b"PK\x05\x06" + end


def _gzip(block: bytes, times: int) -> bytes:
    packed, total = _repeated(block, times)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + packed + struct.pack("<II", total, len(block) * times & 0xFFFFFFFF)


MILLION = 1 << 20
BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "an image in a zip": ("data-zip", lambda: _zip("a.png", bytes(MILLION), 2000)),
    "a box file in a zip": ("data-zip", lambda: _zip("é.txt", b" " * MILLION, 2000)),
    "boxes in a zip": ("data-zip", lambda: _zip("é.txt", b"0 1 2 3 4\n" * 100_000, 1000)),
    "CVAT's document": ("data-cvat-zip", lambda: _zip("annotations.xml", b" " * MILLION, 2000)),
    "a pruned archive": ("pruned-file", lambda: _gzip(bytes(MILLION), 2000)),
    "lines of a pruned archive": ("pruned-file", lambda: _gzip(b"\n" * MILLION, 1000)),
    "a manifest": ("backup-file", lambda: _zip("manifest.json", b" " * MILLION, 2000)),
    "a line of a backup": ("backup-file", lambda: backup_of({"trainings.jsonl": b" " * 100 * MILLION})),
    "code": ("code-archive", lambda: _gzip(bytes(MILLION), 2000)),
}


@pytest.mark.long
@pytest.mark.parametrize("name", BOMBS)
def test_archives_of_gigabytes(name: str, tmp_path: Path) -> None:
    target, make = BOMBS[name]
    taken(target, make(), tmp_path)


def test_a_small_archive_that_is_more_than_it_may_be(tmp_path: Path) -> None:
    content = _zip("manifest.json", b" " * MILLION, 70)
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
    taken("backup-file", content, tmp_path)


def test_the_laughs_are_json_too() -> None:
    assert len(LAUGHS) < 3000 and len(json.dumps(LAUGHS.decode())) < 4000
