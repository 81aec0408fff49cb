"""Writes the fixtures anew: `python -m tests.foreign_runs.regenerate [SYSTEM]...` lets each package itself write small
runs, in a temporary environment of its own, and read them again.

SYSTEM.tar.gz holds the files that the package wrote, SYSTEM.json its version and what its own reader says of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).parent
# Name of the fixture -> packages that its writer needs; none: those of this environment.
PACKAGES: dict[str, tuple[str, ...]] = {
    "tensorboard": (),  # torch, with its SummaryWriter
    "tensorboardx": ("tensorboardX", "tensorboard"),
    "mlflow": ("mlflow",),
    "wandb": ("wandb",),
    "trackio": ("trackio", "pyarrow"),
    "neptune": ("neptune", "setuptools<81"),  # neptune 1 asks for pkg_resources
    "neptunescale": ("neptune-scale",),
}
# wandb has had no reader in Python since 0.20: the last one reads what the newest version has written.
READERS = {"wandb": ("wandb==0.19.11", "setuptools<81")}
_OFFLINE = {
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "HF_HUB_OFFLINE": "1",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONPATH": "",
}


def regenerate(name: str) -> None:
    """Writes one fixture."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        out.mkdir()
        writer = HERE / "writers" / f"{name}_runs.py"
        python = _python(Path(folder, "writer"), PACKAGES[name])
        _run(python, writer, "write", out)
        _run(_python(Path(folder, "reader"), READERS[name]) if name in READERS else python, writer, "read", out)
        expected = json.loads((out / "expected.json").read_text())
        (HERE / f"{name}.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n", "utf-8")
        with tarfile.open(HERE / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(out / "runs", "runs")
    print(f"{name}: {(HERE / f'{name}.tar.gz').stat().st_size} bytes", file=sys.stderr)


def _python(folder: Path, packages: tuple[str, ...]) -> Path:
    """The interpreter of an environment with the packages; without any, this one."""
    if not packages:
        return Path(sys.executable)
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def _run(python: Path, writer: Path, verb: str, out: Path) -> None:
    subprocess.run([python, writer, verb, out], check=True, cwd=out, env={**os.environ, **_OFFLINE})


if __name__ == "__main__":
    for wanted in sys.argv[1:] or PACKAGES:
        regenerate(wanted)
