"""The stored code of a script: its files are read without unpacking, whatever has been put into the archive."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import ArtifactError, NotFound
from mitorch_service.insights.training import code_changes as changes_module
from mitorch_service.insights.training.code_changes import FileChange, code_changes
from mitorch_service.insights.training.code_snapshot import CodeFile, list_code, read_code_file
from mitorch_service.models.config.script import CodeRecord
from tests.code_archives import pack_files, store_archive


@pytest.fixture
def artifacts(tmp_path: Path) -> FolderArtifactStore:
    return FolderArtifactStore(tmp_path / "artifacts")


def test_files_are_listed_and_read_as_masked_text(artifacts: FolderArtifactStore, tmp_path: Path) -> None:
    long = f"a/{'ü' * 100}/{'b' * 120}.py"
    text = b"\xef\xbb\xbfone\r\nurl = 'mongodb://u:geheim-1@h/'\r\n"
    code = store_archive(
        artifacts, tmp_path, pack_files({"train.py": text, "empty.py": b"", long: b"x", "w.bin": b"\0\1"})
    )
    assert list_code(artifacts, code) == [
        CodeFile(long, 1),
        CodeFile("empty.py", 0),
        CodeFile("train.py", len(text)),
        CodeFile("w.bin", 2),
    ]
    shown = read_code_file(artifacts, code, "train.py")
    assert shown.text is not None and shown.text.startswith("one\nurl = ") and "geheim" not in shown.text
    assert shown.is_whole and (read_code_file(artifacts, code, "empty.py").text == "")
    assert read_code_file(artifacts, code, "w.bin").text is None
    with pytest.raises(NotFound, match=r"'\.\./train\.py'"):
        read_code_file(artifacts, code, "../train.py")


def test_a_long_file_is_cut(artifacts: FolderArtifactStore, tmp_path: Path) -> None:
    code = store_archive(artifacts, tmp_path, pack_files({"log.txt": b"x" * 250_000}))
    shown = read_code_file(artifacts, code, "log.txt")
    assert (shown.size, len(shown.text or ""), shown.is_whole) == (250_000, 200_000, False)


def test_code_that_is_gone_is_told(artifacts: FolderArtifactStore) -> None:
    with pytest.raises(NotFound, match="It may have been pruned"):
        list_code(artifacts, CodeRecord(archive=f"code/{'0' * 64}.tar.gz", files=1, size=1, python="3.13"))


def link(name: str) -> bytes:
    """An archive with a link."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    return content.getvalue()


def header(size: int) -> bytes:
    """An archive whose first member is an extended header of so many bytes."""
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, size
    return gzip.compress(info.tobuf() + bytes(4096))


def damaged(archive: bytes) -> bytes:
    """An archive with other bytes in its midst, which are no compressed content."""
    return archive[:40] + b"\xff" * 40 + archive[80:]


@pytest.mark.parametrize(
    ("archive", "problem"),
    [
        (link("train.py"), "is neither a file nor a folder"),
        (pack_files({"../train.py": b"x"}), "leads out of the folder"),
        (pack_files({"/train.py": b"x"}), "leads out of the folder"),
        (pack_files({"train.py": b"x" * 5000})[:60], "cannot be read"),
        (b"no archive", "cannot be read"),
        (damaged(pack_files({"train.py": bytes(range(256)) * 20})), "cannot be read"),
        (header(1 << 30), "has a header of 1073741824 bytes"),
    ],
    ids=["link", "above", "absolute", "cut", "none", "damaged", "long header"],  # the bytes hold the time
)
def test_what_we_have_not_packed_is_refused(
    artifacts: FolderArtifactStore, tmp_path: Path, archive: bytes, problem: str
) -> None:
    code = store_archive(artifacts, tmp_path, archive)
    with pytest.raises(ArtifactError, match=problem):
        list_code(artifacts, code)


def test_changes_are_told_file_by_file(
    artifacts: FolderArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes_module, "_MOST_LINES", 50)
    many = b"\n".join(b"%d" % number for number in range(100))
    before = store_archive(
        artifacts, tmp_path, pack_files({"a.py": b"1\n2\n", "old.py": b"x", "same": b"s", "w": b"\0", "m": b""})
    )
    now = store_archive(
        artifacts, tmp_path, pack_files({"a.py": b"1\n3\n", "new.py": b"y", "same": b"s", "w": b"\0\1", "m": many})
    )
    assert code_changes(artifacts, before, now) == [
        FileChange("a.py", "changed", ["@@ -1,2 +1,2 @@", " 1", "-2", "+3"]),
        FileChange("m", "changed", remark="more than 50 lines: not compared line by line"),
        FileChange("new.py", "added", ["@@ -0,0 +1 @@", "+y"]),
        FileChange("old.py", "removed", ["@@ -1 +0,0 @@", "-x"]),
        FileChange("w", "changed", remark="no text"),
    ]
    assert code_changes(artifacts, now, now) == []
