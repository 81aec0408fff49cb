"""azureml-dataset-runtime, without which azureml-core registers no data sets: installed once by
`scripts/dataset_runtime`, into a folder that only the process which needs it has on its path."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "scripts" / "dataset_runtime"
_ENVIRONMENT = dict(os.environ)  # as it was before a test replaced HOME


class NoRuntime(Exception):
    """It cannot be had; the message says why."""


def folder() -> Path:
    """Returns the runtime's folder. Raises NoRuntime."""
    installed = subprocess.run([SCRIPT, "install"], capture_output=True, text=True, check=False, env=_ENVIRONMENT)
    if installed.returncode != 0:
        reason = (installed.stderr.strip().splitlines() or ["scripts/dataset_runtime install failed"])[-1]
        raise NoRuntime(f"the test of Azure ML's data sets is skipped: {reason}")
    return Path(installed.stdout.strip())
