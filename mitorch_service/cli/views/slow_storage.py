"""Says what a command waits for, while the artifact store takes the code of a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click

from mitorch_service.models.blob_storage.sas import without_sas
from mitorch_service.models.secrets import mask_secrets

if TYPE_CHECKING:
    from mitorch_service.settings import Settings

_SECONDS = 3.0  # as after which a database that does not answer is told


def told_if_slow(settings: Settings, seconds: float = _SECONDS) -> Callable[[], AbstractContextManager[None]]:
    """Returns the context in which code is stored: one line says after so many seconds what is waited for."""
    return partial(_told, mask_secrets(without_sas(settings.storage_place)), seconds)


@contextmanager
def _told(place: str, seconds: float) -> Iterator[None]:
    text = f"Waiting for the artifact store {place} (MITORCH_STORAGE_URL) to take the code; nothing is queued yet."
    timer = threading.Timer(seconds, click.echo, (text,), {"err": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
