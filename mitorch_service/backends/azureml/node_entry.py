"""What a cluster starts on a node: sets up our package out of the code snapshot, then becomes ``mirun``.

Copied into the snapshot and started by its path, so it must not import the package:
``python node_entry.py run ID --attempt N``.
Nothing is installed where the environment has what the package needs (our Docker images do).
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

EXIT_INFRASTRUCTURE = 75  # the same as models/exit_codes.py, which cannot be imported yet
NEEDED = (
    *("click", "dotenv", "psutil", "pydantic", "pymongo", "rich"),
    *("PIL", "timm", "torch", "torchmetrics", "torchvision"),
    *("azure.identity", "azure.storage.blob", "azureml.core"),
)


def main(arguments: list[str]) -> int:
    """Does not return where all goes well: this process becomes the run's, so that signals reach it."""
    here = Path(__file__).resolve().parent
    wheel = next(here.glob("*.whl"))
    missing = [name for name in NEEDED if not is_there(name)]
    if missing:
        sys.stdout.write(f"installing {wheel.name}: the environment has no {', '.join(missing)}\n")
        if not install(wheel, here / "requirements.txt"):
            return EXIT_INFRASTRUCTURE
    folder = tempfile.mkdtemp(prefix="mitorch-package-")
    zipfile.ZipFile(wheel).extractall(folder)  # the snapshot's version wins over one in the environment
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "mitorch_service.cli.main", *arguments])


def is_there(module: str) -> bool:
    """Whether the module can be imported, without importing more than its parents."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def install(wheel: Path, requirements: Path) -> bool:
    """One process of a node installs, the others wait for it."""
    with Path(tempfile.gettempdir(), "mitorch-install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = [sys.executable, "-m", "pip", "install", "--no-input", "--constraint", str(requirements)]
        return subprocess.run([*program, f"{wheel}[train,azure]"], check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
