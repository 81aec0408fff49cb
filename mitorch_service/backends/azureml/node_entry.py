"""The entry point on a node: unpacks our package from the code snapshot, then replaces itself by ``mirun``.

Copied into the snapshot and started by its path, so that it imports the package from the wheel beside it only:
``python node_entry.py run ID --attempt N``. Installs dependencies only if the environment lacks any (our Docker images
have them all).
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

EXIT_INFRASTRUCTURE = 75  # as in models/attempts/exit_codes.py
NEEDED = (
    *("click", "dotenv", "psutil", "pydantic", "pymongo", "rich"),
    *("PIL", "timm", "torch", "torchmetrics", "torchvision"),
    *("azure.identity", "azure.keyvault.secrets", "azure.storage.blob"),
)


def main(arguments: list[str]) -> int:
    """Returns an exit code only on failure; on success this process becomes the run's, so that signals reach it."""
    here = Path(__file__).resolve().parent
    adopt_identity()
    wheel = next(here.glob("*.whl"))
    missing = [name for name in NEEDED if not is_there(name)]
    if missing:
        sys.stdout.write(f"installing {wheel.name}: the environment has no {', '.join(missing)}\n")
        if not install(wheel, here / "requirements.txt"):
            return EXIT_INFRASTRUCTURE
    folder = unpacked(wheel)  # takes precedence over a version in the environment
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "mitorch_service.cli.main", *arguments])  # noqa: S606


def adopt_identity() -> None:
    """Names the compute's identity for `DefaultAzureCredential`, which does not know Azure ML's variable for it."""
    identity = os.environ.get("DEFAULT_IDENTITY_CLIENT_ID")
    if identity:
        os.environ.setdefault("AZURE_CLIENT_ID", identity)


def unpacked(wheel: Path) -> str:
    """Unpacks our package into a temporary folder that is locked until the run ends. The next start on this machine
    removes it; this one removes those of runs that have ended."""
    sys.path.insert(0, str(wheel))
    from mitorch_service.temporary_folders import make_locked_folder, remove_dead_folders

    remove_dead_folders()
    folder, lock = make_locked_folder()
    os.set_inheritable(lock, True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return str(folder)


def is_there(module: str) -> bool:
    """Whether the module can be imported; imports only its parents."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def install(wheel: Path, requirements: Path) -> bool:
    """Installs the wheel and its dependencies; one process per node installs while the others wait."""
    lock = os.open(sys.prefix, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    program = [sys.executable, "-m", "pip", "install", "--no-input", "--constraint", str(requirements)]
    done = subprocess.run([*program, f"{wheel}[train,azure-node]"], check=False)
    os.close(lock)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
