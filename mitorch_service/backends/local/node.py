"""This machine as a node, as seen from the process of a local run."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping

from mitorch_service.backends.local.supervisor import SIGN_OF_LIFE
from mitorch_service.backends.node import Node
from mitorch_service.errors import BackendError
from mitorch_service.inherited_settings import read_settings_fd


class LocalNode(Node):
    """Reads the settings from the descriptor that the supervisor passed on, and gives it signs of life."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._closed = threading.Event()
        where = os.environ.pop(SIGN_OF_LIFE, "")  # the run's other processes do not have the descriptor
        if where:
            file, _, seconds = where.partition(":")
            threading.Thread(target=self._beat, args=(int(file), float(seconds)), name="alive", daemon=True).start()

    def settings(self) -> dict[str, str]:
        try:
            return read_settings_fd(self._environ)
        except (OSError, ValueError) as error:
            raise BackendError(
                "local", f"the settings of this run cannot be read ({error})", "Run it again."
            ) from error

    def close(self) -> None:
        self._closed.set()

    def _beat(self, file: int, seconds: float) -> None:
        with contextlib.suppress(OSError):  # the supervisor is gone: nobody listens
            while not self._closed.wait(seconds):
                os.write(file, b".")
