"""A script's code: which files, always the same bytes, stored once, unpacked as it was."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import ArtifactError, DataError
from mitorch_service.models.script import MAX_DIFF
from mitorch_service.runs.script import code_archive
from mitorch_service.runs.script.code_archive import CodeArchive, fetch_code, pack_code, store_code
from mitorch_service.runs.script.code_files import code_files
from mitorch_service.runs.script.code_record import code_record, git_record


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """A folder with these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def names(folder: Path) -> set[str]:
    """The files of the folder that count as code."""
    return {path.relative_to(folder).as_posix() for path in code_files(folder)}


def packed(source: Path, target: Path) -> CodeArchive:
    """The archive of the source, in a new file below the folder `target`."""
    target.mkdir(parents=True, exist_ok=True)
    return pack_code(source, target / "code.tar.gz")


def git(folder: Path, *arguments: str) -> str:
    """The output of git."""
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_what_is_ignored_is_left_out(tmp_path: Path) -> None:
    write(
        tmp_path, {"train.py": "", "lib/net.py": "", "data/big.bin": "", "lib/data/x.bin": "", "a.log": "", "b.log": ""}
    )
    write(tmp_path, {".gitignore": "*.log\n!b.log\n/data/\n", "lib/.mitorchignore": "data\n"})
    write(tmp_path, {"__pycache__/x.pyc": "", ".git/HEAD": "", "venv/pyvenv.cfg": "", "venv/lib.py": ""})
    assert names(tmp_path) == {"train.py", "lib/net.py", "b.log", ".gitignore", "lib/.mitorchignore"}


def test_the_patterns_of_the_repository_count_below_it_too(tmp_path: Path) -> None:
    write(tmp_path, {".git/HEAD": "", ".gitignore": "*.pth\n/project/out/\n"})
    folder = write(tmp_path / "project", {"train.py": "", "w.pth": "", "out/x": "", "deep/out/y": ""})
    assert names(folder) == {"train.py", "deep/out/y"}


def test_patterns_above_a_folder_outside_a_repository_do_not_count(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "*.py\n"})
    assert names(write(tmp_path / "project", {"train.py": ""})) == {"train.py"}


def test_a_link_to_a_folder_is_refused_unless_it_is_ignored(tmp_path: Path) -> None:
    folder = write(tmp_path / "project", {"train.py": ""})
    (folder / "data").symlink_to(tmp_path)
    with pytest.raises(ValueError, match=r"data is a link to a folder: exclude it in \.mitorchignore"):
        names(folder)
    write(folder, {".mitorchignore": "data/\n"})
    assert names(folder) == {"train.py", ".mitorchignore"}


def test_the_same_code_gives_the_same_bytes(tmp_path: Path) -> None:
    files = {"b/train.py": "print(1)", "a.py": "é", "b.py": "2"}
    one, two = write(tmp_path / "one", files), write(tmp_path / "two", dict(reversed(files.items())))
    os.utime(two / "a.py", (0, 0))
    first, second = packed(one, tmp_path / "1"), packed(two, tmp_path / "2")
    assert first.file.read_bytes() == second.file.read_bytes()
    assert (first.digest, first.files, first.size) == (second.digest, 3, 11)
    (two / "a.py").chmod(0o755)
    assert packed(two, tmp_path / "3").digest != first.digest


def test_code_comes_back_as_it_was(tmp_path: Path) -> None:
    source = write(tmp_path / "source", {"run.sh": "echo", "lib/net.py": "x = 1\n"})
    (source / "run.sh").chmod(0o700)
    archive, artifacts = packed(source, tmp_path), FolderArtifactStore(tmp_path / "artifacts")
    store_code(artifacts, archive)
    fetch_code(artifacts, archive.digest, tmp_path / "copy")
    assert (tmp_path / "copy/lib/net.py").read_text() == "x = 1\n"
    assert os.access(tmp_path / "copy/run.sh", os.X_OK)
    assert not os.access(tmp_path / "copy/lib/net.py", os.X_OK)


def test_a_file_alone_is_code_too(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "1", "other.py": "2"})
    archive, artifacts = packed(tmp_path / "train.py", tmp_path / "x"), FolderArtifactStore(tmp_path / "artifacts")
    store_code(artifacts, archive)
    fetch_code(artifacts, archive.digest, tmp_path / "copy")
    assert list((tmp_path / "copy").iterdir()) == [tmp_path / "copy" / "train.py"]


def test_code_is_stored_once(tmp_path: Path) -> None:
    archive = packed(write(tmp_path / "source", {"a.py": ""}), tmp_path)
    artifacts = FolderArtifactStore(tmp_path / "artifacts")
    store_code(artifacts, archive)
    before = Path(tmp_path / "artifacts" / archive.key).stat()
    store_code(artifacts, archive)
    assert Path(tmp_path / "artifacts" / archive.key).stat().st_ino == before.st_ino
    assert artifacts.keys("code/") == [archive.key]


def test_code_that_is_gone_or_changed_is_told(tmp_path: Path) -> None:
    archive = packed(write(tmp_path / "source", {"a.py": ""}), tmp_path)
    artifacts = FolderArtifactStore(tmp_path / "artifacts")
    with pytest.raises(DataError, match="is no longer in the artifact store"):
        fetch_code(artifacts, archive.digest, tmp_path / "1")
    artifacts.put(archive.key, packed(write(tmp_path / "other", {"a.py": "1"}), tmp_path / "x").file)
    with pytest.raises(DataError, match="is not what was submitted"):
        fetch_code(artifacts, archive.digest, tmp_path / "2")
    artifacts.put(archive.key, write(tmp_path, {"garbage": "xx"}) / "garbage")
    with pytest.raises(ArtifactError, match="cannot be unpacked"):
        fetch_code(artifacts, archive.digest, tmp_path / "3")


def test_too_much_code_names_the_largest_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "source", {"a.py": "", "weights.bin": "x" * 2_000_000, "b.py": ""})
    for limit, value in (("MAX_BYTES", 1_000_000), ("MAX_FILES", 2)):
        with monkeypatch.context() as patch:
            patch.setattr(code_archive, limit, value)
            with pytest.raises(ValueError, match=r"3 files of 2\.0 MB.*weights\.bin 2\.0 MB.*\.mitorchignore"):
                packed(source, tmp_path)


def test_a_source_that_is_not_there_or_empty_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        packed(tmp_path / "missing", tmp_path / "x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="contains no file"):
        packed(tmp_path / "empty", tmp_path / "x")


def test_the_state_of_the_repository_is_noted(tmp_path: Path) -> None:
    folder = write(tmp_path / "project", {"train.py": "lr = 1\n", "notes.txt": "x\n"})
    git(folder, "init", "--initial-branch", "work")
    assert git_record(folder) is None  # no commit yet
    git(folder, "add", ".")
    git(folder, "commit", "--message", "first")
    git(folder, "remote", "add", "origin", "https://user:ghp_token@host.example/team/project.git")
    clean = git_record(folder)
    assert clean is not None
    assert (clean.commit, clean.branch, clean.diff) == (git(folder, "rev-parse", "HEAD"), "work", "")
    assert clean.remote == "https://host.example/team/project.git"
    write(folder, {"train.py": "lr = 2\n"})
    changed = git_record(folder)
    assert changed is not None
    assert "-lr = 1\n+lr = 2" in changed.diff
    write(folder, {"train.py": "x\n" * MAX_DIFF})
    long = git_record(folder)
    assert long is not None
    assert (len(long.diff), long.diff_is_whole) == (MAX_DIFF, False)


def test_python_and_packages_are_noted(tmp_path: Path) -> None:
    source = write(tmp_path / "source", {"a.py": ""})
    record = code_record(source, packed(source, tmp_path))
    assert record.git is None
    assert record.python.startswith("3.")
    assert any(line.startswith("pydantic==2.") for line in record.packages)
    assert len(record.model_dump_json()) < 40_000
