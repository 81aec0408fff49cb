"""Archives are unpacked if nothing in them leads elsewhere, on every Python."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.artifacts.tar_files import UnsafeArchive, unpack
from mitorch_service.runs.script.script_checkpoints import ScriptCheckpoints


def archive(folder: Path, *members: tarfile.TarInfo) -> Path:
    """A tar file of these members, each of as many bytes as it says."""
    file = folder / "a.tar"
    with tarfile.open(file, "w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return file


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    """One member."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode, info.uid = kind, link, size, 0o6777, 12345
    return info


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (member("../evil"), "leads out"),
        (member("a/../../evil"), "leads out"),
        (member("/evil"), "leads out"),
        (member("evil", tarfile.SYMTYPE, "/etc"), "is neither a file nor a folder"),
        (member("evil", tarfile.LNKTYPE, "good"), "is neither"),
        (member("evil", tarfile.FIFOTYPE), "is neither"),
        (member("evil", tarfile.CHRTYPE), "is neither"),
        (member(""), "leads out"),
        (member("."), "leads out"),
        (member("good"), "is there twice"),
        (member("good/evil"), "is there twice"),
        (member("good", tarfile.DIRTYPE), "is there twice"),
        (member("lib"), "is there twice"),  # a folder above
        (member("a" * 256), "has a name that no file can have"),
        (member("lib/" * 1000 + "a"), "has a name that no file can have"),
        (member("big", size=2001), "is more than 3 files or 2000 bytes"),
    ],
)
def test_what_leads_elsewhere_is_refused_whole(tmp_path: Path, bad: tarfile.TarInfo, problem: str) -> None:
    file = archive(tmp_path, member("good"), member("lib/good"), bad)
    with pytest.raises(UnsafeArchive, match=problem):
        unpack(file, tmp_path / "out", 3, 2000)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "evil").exists()


def test_a_sparse_file_is_refused(tmp_path: Path) -> None:
    header = bytearray(member("huge", tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"0" * 24  # no part of it is stored
    header[483:495] = b"%012o" % (1 << 30)  # its size
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(b" " * 8) + sum(header[156:512]))
    file = tmp_path / "archive.tar"
    file.write_bytes(bytes(header) + bytes(1024))
    with pytest.raises(UnsafeArchive, match="'huge' is neither"):
        unpack(file, tmp_path / "out")


@pytest.mark.parametrize("time", ["nan", "1e400", "-1"])
def test_a_time_that_is_none_is_left_out(tmp_path: Path, time: str) -> None:
    odd = member("good")
    odd.pax_headers = {"mtime": time}
    unpack(archive(tmp_path, odd), tmp_path / "out")
    assert (tmp_path / "out" / "good").stat().st_mtime == 0


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    file = archive(tmp_path, *(member(f"f{number}") for number in range(4)))
    with pytest.raises(UnsafeArchive, match="'f3' is more than 3 files"):
        unpack(file, tmp_path / "out", 3)


def test_what_is_unpacked_is_the_owners_alone(tmp_path: Path) -> None:
    plain = member("lib/b")
    plain.mode = 0o644
    unpack(archive(tmp_path, member("lib", tarfile.DIRTYPE), member("lib/a", size=5), plain), tmp_path / "out")
    found = {path.name: path.stat() for path in (tmp_path / "out").rglob("*")}
    assert {name: oct(status.st_mode & 0o7777) for name, status in found.items()} == {
        "lib": "0o700",
        "a": "0o700",
        "b": "0o600",
    }
    assert {status.st_uid for status in found.values()} == {os.geteuid()}


def test_a_checkpoint_of_a_folder_leaves_out_what_is_no_file(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "model").write_text("x")
    (state / "latest").symlink_to("model")
    os.link(state / "model", state / "same")
    os.mkfifo(state / "pipe")
    checkpoints = ScriptCheckpoints(FolderArtifactStore(tmp_path / "artifacts"), "t", 1)
    checkpoints.keep(state, 1)
    restored = checkpoints.restore(tmp_path / "restored")
    assert restored is not None
    assert {path.name: path.read_text() for path in restored.path.iterdir()} == dict.fromkeys(
        ("model", "latest", "same"), "x"
    )
