"""Calls of the unmodified SDK, made in another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.azureml_emulator.client import ROOT, Emulator


class SdkError(Exception):
    """An error of the SDK: the name of its class, and its message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class SdkProcess:
    """A running driver."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder

    def __call__(self, function: str, **arguments: Any) -> Any:
        """Calls a function of the driver. Raises SdkError."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([function, arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the driver has ended: {(self._folder / 'driver.log').read_text()}"
        answer = json.loads(line)
        if "error" in answer:
            raise SdkError(answer["error"], answer["message"])
        return answer["value"]


@contextmanager
def sdk_process(
    emulator: Emulator, folder: Path, retries: int = 3, driver: str = "sdk_driver", packages: Sequence[Path] = ()
) -> Iterator[SdkProcess]:
    """The SDK with a home of its own below the folder; the second one by the driver `sdk_v2_driver`. `packages`:
    folders of further ones that it has."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = emulator.environment(folder / "home") | {"AZUREML_DEFAULT_RETRIES": str(retries)}
    paths = os.pathsep.join([environment["PYTHONPATH"], str(ROOT), *map(str, packages)])
    command = [sys.executable, "-m", f"tests.azureml_emulator.{driver}"]
    with (folder / "driver.log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "PATH": os.environ["PATH"], "PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    with process:
        yield SdkProcess(process, folder)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=60)
