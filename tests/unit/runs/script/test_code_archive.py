"""A script's code: which files, always the same bytes, stored once, unpacked as it was."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import ArtifactError, DataError
from mitorch_service.models.config.script import MAX_DIFF
from mitorch_service.runs.script import code_archive
from mitorch_service.runs.script.code_archive import CodeArchive, fetch_code, pack_code, store_code
from mitorch_service.runs.script.code_files import code_files
from mitorch_service.runs.script.code_record import code_record
from mitorch_service.runs.script.git_state import git_record


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """A folder with these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def names(folder: Path) -> set[str]:
    """The files of the folder that count as code."""
    found = code_files(folder)
    return {found.name(path) for path in found.files}


def packed(source: Path, target: Path) -> CodeArchive:
    """The archive of the source, in a new file below the folder `target`."""
    target.mkdir(parents=True, exist_ok=True)
    return pack_code(source, target / "code.tar.gz")


def git(folder: Path, *arguments: str) -> str:
    """The output of git."""
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_what_is_ignored_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    write(
        folder, {"train.py": "", "lib/net.py": "", "data/big.bin": "", "lib/data/x.bin": "", "a.log": "", "b.log": ""}
    )
    write(folder, {".gitignore": "*.log\n!b.log\n/data/\n", "lib/.mitorchignore": "data\n"})
    write(folder, {"__pycache__/x.pyc": "", ".git/HEAD": "", "venv/pyvenv.cfg": "", "venv/lib.py": ""})
    assert names(folder) == {"train.py", "lib/net.py", "b.log", ".gitignore", "lib/.mitorchignore"}


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


CREDENTIALS = [
    *(".env", ".ENV", ".env.production", "prod.env", "deploy/.netrc", ".aws/credentials", "lib/.ssh/config"),
    *(
        "id_rsa",
        "kubeconfig",
        "cloud/credentials",
        "keys/server.key",
        "a.p12",
        "gcp/service-account-7.json",
        "secrets.yaml",
        ".npmrc",
        ".mitorch/log",
        "home/mitorch.db-wal",
    ),
]
PRIVATE_KEYS = {
    "deploy_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n",
    "chain.pem": "subject=x\n-----BEGIN CERTIFICATE-----\nM\n-----BEGIN RSA PRIVATE KEY-----\nM\n",
    "robot.json": '{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\\nM"}',
    "putty": "PuTTY-User-Key-File-3: ssh-ed25519\n",
}
HARMLESS = {
    "train.py": 'KEY = "-----BEGIN PRIVATE KEY-----"\n',
    "ca.pem": "-----BEGIN CERTIFICATE-----\nM\n",
    "id_rsa.pub": "ssh-rsa M",
    ".env.example": "TOKEN=",
    "credentials/__init__.py": "",
    "environment.yml": "",
    "keys.json": "{}",
}


def test_credentials_are_never_packed_and_are_told(tmp_path: Path) -> None:
    files = {**dict.fromkeys(CREDENTIALS, "x"), **PRIVATE_KEYS, **HARMLESS, ".mitorchignore": "!.env\n!*.key\n"}
    folder = write(tmp_path / "project", files)
    assert names(folder) == {*HARMLESS, ".mitorchignore"}
    left_out = packed(folder, tmp_path / "x").left_out
    folders = {".aws/", "lib/.ssh/", ".mitorch/"}
    expected = {name for name in (*CREDENTIALS, *PRIVATE_KEYS) if not any(one in f"{name}/" for one in folders)}
    assert set(left_out) == expected | folders
    write(folder, {".mitorchignore": ".env*\n"})
    assert ".env" not in code_files(folder).left_out  # what is ignored needs no telling


@pytest.mark.parametrize("name", [".env", "key"])
def test_credentials_alone_are_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, {".env": "A=1", "key": PRIVATE_KEYS["deploy_key"]})
    with pytest.raises(ValueError, match=f"{name} holds credentials, which are never stored as code"):
        packed(tmp_path / name, tmp_path / "x")


def test_links_lead_to_files_within_the_source_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {".git/HEAD": "", ".gitignore": "*.bin\n"})
    monkeypatch.chdir(write(tmp_path / "project", {"lib/net.py": "x = 1", ".env": "A=1"}).parent)
    folder = Path("project")
    (folder / "net.py").symlink_to("lib/net.py")
    (folder / "settings").symlink_to(".env")  # a credential by another name
    (folder / "gone").symlink_to("nowhere")
    archive, artifacts = packed(folder, tmp_path / "x"), FolderArtifactStore(tmp_path / "artifacts")
    assert archive.left_out == (".env", "settings")
    store_code(artifacts, archive)
    fetch_code(artifacts, archive.digest, tmp_path / "copy")
    assert (tmp_path / "copy" / "net.py").read_text() == "x = 1"
    assert not (tmp_path / "copy" / "net.py").is_symlink()
    (folder / "shadow").symlink_to(write(tmp_path, {"else/shadow": "s"}) / "else" / "shadow")
    with pytest.raises(
        ValueError, match=r"shadow is a link out of .*project, to .*/else/shadow: copy the file, exclude"
    ):
        packed(folder, tmp_path / "y")
    write(folder, {".mitorchignore": "shadow\n"})
    assert "shadow" not in names(folder)


ODD = ["!", "\\", "a\\", "[", "[z-a]", "[[:foo:]]x", "!\\", "/", "x***", "[[a]", "keep.log", "*.tmp"]


def test_lines_of_ignore_files_that_git_accepts_are_accepted(tmp_path: Path) -> None:
    folder = write(tmp_path, {"keep.log": "", "a.tmp": "", "a": "", "train.py": "", "sub/[": "", "[z-a]": ""})
    git(folder, "init")
    write(folder, {".gitignore": "\n".join(ODD) + "\n"})
    listed = git(folder, "ls-files", "--others", "--exclude-standard", "-z").strip("\0").split("\0")
    assert names(folder) == set(listed)


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


def test_any_damage_of_an_archive_is_told(tmp_path: Path) -> None:
    source, artifacts = tmp_path / "train.py", FolderArtifactStore(tmp_path / "artifacts")
    source.write_text("print(1)\n" * 20)
    archive = pack_code(source, tmp_path / "code.tar.gz")
    content = archive.file.read_bytes()
    for place in range(10, len(content) - 8, 5):
        archive.file.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
        artifacts.put(archive.key, archive.file)
        with pytest.raises((ArtifactError, DataError), match=r"cannot be unpacked|is not what was submitted"):
            fetch_code(artifacts, archive.digest, tmp_path / str(place))


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


def test_the_settings_of_a_repository_execute_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path / "project", {"train.py": "lr = 1\n", ".gitattributes": "*.py filter=evil diff=evil\n"})
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "--message", "first")
    write(folder, {"train.py": "lr = 2\n"})
    touch = f"touch {tmp_path}/executed; cat"
    for name in ("core.fsmonitor", "core.sshCommand", "filter.evil.clean", "filter.evil.smudge", "filter.evil.process"):
        git(folder, "config", name, touch)
    for name in ("diff.evil.textconv", "diff.evil.command", "diff.external", "core.pager", "filter.evil.required"):
        git(folder, "config", name, "true" if name.endswith("required") else touch)
    hook = write(folder, {".git/hooks/post-index-change": f"#!/bin/sh\n{touch}\n"}) / ".git/hooks/post-index-change"
    hook.chmod(0o755)
    record = git_record(folder)
    assert record is not None
    assert "-lr = 1\n+lr = 2" in record.diff
    assert not (tmp_path / "executed").exists()


def test_changes_of_credentials_are_not_noted(tmp_path: Path) -> None:
    folder = write(tmp_path / "project", {"a/train.py": "lr = 1\n", "a/prod.env": "A=1\n"})
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "--message", "first")
    write(folder, {"a/train.py": "lr = 2\n", "a/prod.env": "A=hush\n"})
    record = git_record(folder / "a")
    assert record is not None
    assert "+lr = 2" in record.diff
    assert "hush" not in record.diff


def test_python_and_packages_are_noted(tmp_path: Path) -> None:
    source = write(tmp_path / "source", {"a.py": ""})
    record = code_record(source, packed(source, tmp_path))
    assert record.git is None
    assert record.python.startswith("3.")
    assert any(line.startswith("pydantic==2.") for line in record.packages)
    assert len(record.model_dump_json()) < 40_000
