"""Temporary folders: private, and removed by the next one if their process was killed."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mitorch_service import temporary_folders
from mitorch_service.backends.azureml.code_snapshot import snapshot_folder
from mitorch_service.temporary_folders import make_locked_folder, remove_dead_folders, temporary_folder

WAITS = """
import os, sys
from mitorch_service.temporary_folders import temporary_folder
with temporary_folder() as folder:
    (folder / "weights").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
"""
NODE = """
import os, sys
from pathlib import Path
from typing import Any
sys.path.insert(0, sys.argv[1])
import node_entry
folder = node_entry.unpacked(next(Path(sys.argv[1]).glob("*.whl")))
os.environ["PYTHONPATH"] = folder
os.execv(sys.executable, [sys.executable, "-c", "import mitorch_service; print(mitorch_service.__file__)"])
"""


@pytest.fixture
def temp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty temp folder with a short path, for this process and its children."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        monkeypatch.setenv("TMPDIR", name)
        yield Path(name)


def test_a_folder_is_private_and_contains_whatever_else_is_temporary(temp: Path) -> None:
    with temporary_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        with tempfile.NamedTemporaryFile() as file:
            assert Path(file.name).is_relative_to(folder)
    assert list(temp.iterdir()) == []
    assert tempfile.gettempdir() == str(temp)


def test_the_next_one_removes_what_killed_processes_left(temp: Path) -> None:
    command = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(Path.cwd())!r})\n{WAITS}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        remove_dead_folders()
        assert (folder / "weights").exists()  # its process lives
        process.kill()
    with temporary_folder() as mine:
        assert list(temp.iterdir()) == [mine]


def test_folders_of_others_and_links_stay(temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = temp / "precious"
    outside.mkdir()
    (temp / "mitorch-run-aaaalink").symlink_to(outside)
    (temp / "mitorch-code-aaaa_new").mkdir()  # of a process that has no locks
    (temp / "mitorch-code-aaaa_old").mkdir()
    os.utime(temp / "mitorch-code-aaaa_old", (0, 0))
    (temp / "mitorch-run-_another").mkdir()
    if os.geteuid() == 0:
        os.chown(temp / "mitorch-run-_another", 12345, -1)
    else:
        monkeypatch.setattr(temporary_folders, "PREFIX", "mitorch-run-mine-")
    remove_dead_folders()
    left = {path.name for path in temp.iterdir()}
    assert left == {"precious", "mitorch-run-aaaalink", "mitorch-code-aaaa_new", "mitorch-run-_another"}


def test_a_node_removes_the_package_of_the_run_before(temp: Path, tmp_path: Path) -> None:
    snapshot = snapshot_folder(tmp_path / "home")
    made, lock = make_locked_folder()  # of a run that goes on
    for _ in range(2):
        out = subprocess.run(
            [sys.executable, "-c", NODE, str(snapshot)], check=True, capture_output=True, text=True, cwd=tmp_path
        ).stdout
        (package,) = set(temp.iterdir()) - {made}
        assert Path(out.strip()).is_relative_to(package)
    os.close(lock)


def test_folders_that_a_person_has_named_stay_however_old_they_are(temp: Path) -> None:
    names = {"mitorch-home", "mitorch-run-1", "mitorch-datasets", "mitorch-code"}
    for name in names:
        (temp / name).mkdir()
        os.utime(temp / name, (0, 0))
    remove_dead_folders()
    assert {path.name for path in temp.iterdir()} == names


@pytest.mark.parametrize("moment", ["open", "flock"])
def test_a_new_folder_that_another_process_removes_is_made_anew(
    temp: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Between its creation and its lock it looks like that of a killed process."""
    module: Any = os if moment == "open" else fcntl
    call, removed = getattr(module, moment), list[Path]()

    def once_late(*arguments: Any) -> Any:
        if not removed:
            removed.extend(temp.iterdir())
            removed[0].rmdir()
        return call(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(module, moment, once_late)
        folder, lock = make_locked_folder()
    assert (folder.is_dir(), len(removed), folder in removed) == (True, 1, False)
    os.close(lock)
