"""Commands do not import what they do not need, because every command pays for start-up time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.acceptance.conftest import Machine

TRAINING = {
    "torch",
    "torchvision",
    "timm",
    "torchmetrics",
    "faster_coco_eval",
    "numpy",
    "PIL",
    "tensorboard",
    "sklearn",
}
CLOUD = {"azureml", "azure", "msrest"}
SEARCH = {"optuna", "scipy", "sqlalchemy"}
WEB = {"flask", "fastapi", "starlette", "uvicorn", "aiohttp", "django", "jinja2", "requests", "urllib3", "httpx"}
MONGO = {"pymongo", "bson", "dns"}
HEAVY = TRAINING | CLOUD | SEARCH | WEB | MONGO | {"rich", "pygments", "asyncio", "pydantic_settings"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["submit", "training.json"],
        ["query"],
        ["query", "--json"],
        ["dataset", "list"],
        ["control", "status"],
        ["control"],
    ],
    ids=" ".join,
)
def test_commands_on_sqlite_load_no_heavy_package(machine: Machine, arguments: list[str]) -> None:
    assert not _packages(machine, arguments) & HEAVY


def test_showing_one_training_loads_no_heavy_package(machine: Machine) -> None:
    training = machine.ok("submit", "training.json")
    assert not _packages(machine, ["query", training]) & HEAVY
    assert not _packages(machine, ["control", "cancel", training]) & HEAVY


@pytest.mark.parametrize(
    "command",
    [
        "submit",
        "query",
        "dataset",
        "control",
        "consume",
        "train",
        "test",
        "predict",
        "export",
        "run",
        "doctor",
        "completion",
        "import",
    ],
)
def test_help_loads_little_beside_click(bare_machine: Machine, command: str) -> None:
    assert not _packages(bare_machine, [command, "--help"]) & (HEAVY | {"pydantic", "sqlite3", "psutil"})


def test_the_python_client_loads_no_heavy_package(machine: Machine) -> None:
    machine.ok("submit", "training.json")
    code = "from mitorch_service import Client; c = Client(); c.get(c.query().ids()[0])"
    assert not _imported(machine, ["-c", code]) & HEAVY
    remote = "from mitorch_service import Client; Client('http://127.0.0.1:9', 'a-token-of-16-letters')"
    assert not _imported(machine, ["-c", remote]) & (HEAVY | {"sqlite3"})


def _packages(machine: Machine, arguments: list[str]) -> set[str]:
    """The top-level packages that a command has imported when it ends."""
    return _imported(machine, ["-m", "mitorch_service.cli.main", *arguments])


def _imported(machine: Machine, arguments: list[str]) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True,
        text=True,
        env=machine.environment,
        cwd=machine.folder,
        check=True,
    )
    names = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    return {name.split(".")[0] for name in names}
