"""The container files: linted, and read as Docker would read them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "scripts" / "docker"


def test_dockerfiles_are_clean() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    files = sorted(FOLDER.glob("Dockerfile*"))
    assert len(files) == 3
    found = subprocess.run([hadolint, *files], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_what_is_copied_and_installed_is_there() -> None:
    text = (FOLDER / "Dockerfile-gpu").read_text()
    copied = [word for line in text.splitlines() if line.startswith("COPY ") for word in line.split()[1:-1]]
    assert copied and all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = text.partition("/tmp/package[")[2].partition("]")[0].split(",")
    assert extras == ["train", "consume", "s3"] and set(extras) <= set(project["optional-dependencies"])
    assert project["scripts"]["traind"] == "mitorch_service.cli.main:traind"


def test_the_composition() -> None:
    file = FOLDER / "docker-compose.yml"
    service = YAML(typ="safe").load(file)["services"]["traind"]
    context = (FOLDER / service["build"]["context"]).resolve()
    assert context == ROOT and (context / service["build"]["dockerfile"]).is_file()
    assert service["command"] == ["traind.py"] and service["init"] is True
    version = ["docker", "compose", "version"]
    if shutil.which("docker") is None or subprocess.run(version, capture_output=True, check=False).returncode:
        return  # Docker, or its compose, is not here: what follows is checked where it is
    checked = subprocess.run(["docker", "compose", "-f", file, "config", "-q"], capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
