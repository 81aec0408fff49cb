from __future__ import annotations

import pickle
import random
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest

from mitorch_service.training.data.zip_index import ZipIndex

CONTENT = {f"folder {n % 3}/é{n}.bin": random.Random(n).randbytes(n * 37 % 4000) for n in range(300)}


def write(path: Path, method: int = zipfile.ZIP_DEFLATED, before: bytes = b"", comment: bytes = b"") -> Path:
    path.write_bytes(before)
    with zipfile.ZipFile(path, "a", method) as archive:
        archive.comment = comment
        for name, content in CONTENT.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=str
)
def test_reads_what_was_written(tmp_path: Path, method: int) -> None:
    index = ZipIndex(write(tmp_path / "x.zip", method))
    assert {name: index.read(name) for name in CONTENT} == CONTENT
    assert index.has([*CONTENT, "folder 0/é1.bin", ""]) == [True] * len(CONTENT) + [False] * 2
    with pytest.raises(KeyError):
        index.read("é")


def test_knows_size_and_checksum(tmp_path: Path) -> None:
    index = ZipIndex(write(tmp_path / "x.zip"))
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert {name: index.checksum(name) for name in CONTENT} == {
            info.filename: (info.file_size, info.CRC) for info in archive.infolist()
        }


def test_finds_the_directory_behind_other_bytes_and_before_a_comment(tmp_path: Path) -> None:
    path = write(tmp_path / "x.zip", before=b"#!/bin/sh\n" * 50, comment=b"of any length" * 1000)
    index = ZipIndex(path)
    assert {name: index.read(name) for name in CONTENT} == CONTENT


def test_more_entries_than_16_bits_count(tmp_path: Path) -> None:
    """The directory's numbers are in the records of ZIP64 then."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for number in range(70_000):
            archive.writestr(zipfile.ZipInfo(f"{number}"), b"")
    index = ZipIndex(tmp_path / "x.zip")
    assert index.has([f"{number}" for number in range(70_001)]) == [True] * 70_000 + [False]


def test_numbers_of_64_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an archive of more than 4 GB has them."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    path = write(tmp_path / "x.zip", zipfile.ZIP_STORED)
    assert b"PK\x06\x06" in path.read_bytes()
    index = ZipIndex(path)
    assert {name: index.read(name) for name in CONTENT} == CONTENT


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_last_of_two_of_one_name_counts(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a", b"old")
        archive.writestr("a", b"new")
    assert ZipIndex(tmp_path / "x.zip").read("a") == b"new"


def test_an_empty_archive_has_nothing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w"):
        pass
    assert ZipIndex(tmp_path / "x.zip").has(["a", ""]) == [False, False]


def test_travels_as_its_path(tmp_path: Path) -> None:
    index = ZipIndex(write(tmp_path / "x.zip"))
    name = next(iter(CONTENT))
    assert pickle.loads(pickle.dumps(index)).read(name) == CONTENT[name]


def write_raw(path: Path, name: bytes, flags: int = 0, extra: bytes = b"") -> Path:
    """An archive with one entry, its name in these bytes, which `zipfile` writes in UTF-8 with the flag only."""
    placeholder = b"_" * len(name)
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(placeholder.decode())
        info.extra = extra
        archive.writestr(info, b"content")
    content = path.read_bytes().replace(placeholder, name)
    for start in (content.index(b"PK\x03\x04") + 6, content.index(b"PK\x01\x02") + 8):
        content = content[:start] + struct.pack("<H", flags) + content[start + 2 :]
    path.write_bytes(content)
    return path


APART = "e\u0301"  # é as macOS writes it: the letter, then the accent


@pytest.mark.parametrize(
    ("raw", "flags"),
    [
        ("bilder/é狗.png".encode(), 0),  # Info-ZIP, Finder
        (f"bilder/{APART}狗.png".encode(), 0),  # Finder
        (f"bilder/{APART}狗.png".encode(), 0x800),
        ("bilder\\é狗.png".encode(), 0x800),  # .NET before 4.6
    ],
)
def test_names_however_they_are_written(tmp_path: Path, raw: bytes, flags: int) -> None:
    index = ZipIndex(write_raw(tmp_path / "x.zip", raw, flags))
    for name in ("bilder/é狗.png", f"bilder/{APART}狗.png"):
        assert index.has([name]) == [True]
        assert index.read(name) == b"content"
        assert index.checksum(name)[0] == 7


def test_names_in_the_encoding_of_dos(tmp_path: Path) -> None:
    assert ZipIndex(write_raw(tmp_path / "x.zip", "é.png".encode("cp437"))).read("é.png") == b"content"


def test_names_in_an_extra_field(tmp_path: Path) -> None:
    """Info-ZIP's, which counts only while it fits the name in the header."""
    raw = "狗.png".encode("gbk")
    for crc, name in ((zlib.crc32(raw), "狗.png"), (5, raw.decode("cp437"))):
        extra = b"\x01" + struct.pack("<L", crc) + "狗.png".encode()
        field = struct.pack("<HH", 0x7075, len(extra)) + extra
        assert ZipIndex(write_raw(tmp_path / "x.zip", raw, extra=field)).read(name) == b"content"


@pytest.mark.parametrize(
    ("method", "most"), [(zipfile.ZIP_DEFLATED, 1 << 20), (zipfile.ZIP_BZIP2, 1 << 25), (zipfile.ZIP_LZMA, 1 << 25)]
)
def test_no_more_is_unpacked_than_the_directory_states(tmp_path: Path, method: int, most: int) -> None:
    """Or little more, of the methods for which `zipfile` has no limit."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w", method) as archive:
        archive.writestr("a", bytes(1 << 22))
    content = bytearray((tmp_path / "x.zip").read_bytes())
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = struct.pack("<L", 7)
    (tmp_path / "x.zip").write_bytes(content)
    index = ZipIndex(tmp_path / "x.zip")
    assert index.size("a") == 7
    tracemalloc.start()
    with pytest.raises(zipfile.BadZipFile, match="Bad CRC-32"):
        index.read("a")
    assert tracemalloc.get_traced_memory()[1] < most
    tracemalloc.stop()


def test_an_entry_beyond_the_end_is_refused(tmp_path: Path) -> None:
    content = bytearray(write(tmp_path / "x.zip", zipfile.ZIP_STORED).read_bytes())
    place = content.index(b"PK\x01\x02") + 20
    content[place : place + 4] = struct.pack("<L", 1 << 31)
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(zipfile.BadZipFile, match="reaches beyond the end"):
        ZipIndex(tmp_path / "x.zip").read(next(iter(CONTENT)))


def test_an_unusually_packed_entry_is_found_by_any_way_of_writing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a", b"other")
        archive.writestr(f"{APART}.png", b"content")
    assert ZipIndex(tmp_path / "x.zip").read("é.png") == b"content"


@pytest.mark.parametrize("length", [0, 10, 21, 22, 1000])
def test_a_file_cut_short_is_no_archive(tmp_path: Path, length: int) -> None:
    path = write(tmp_path / "x.zip")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(zipfile.BadZipFile):
        ZipIndex(path)


def test_any_changed_byte_is_found_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("name", b"some content " * 9)
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0xFF]) + good[place + 1 :])
        try:
            content = ZipIndex(path).read("name")
        except (zipfile.BadZipFile, KeyError):
            continue
        assert content == b"some content " * 9
