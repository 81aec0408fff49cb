"""The progress of a bulk submission, kept on this machine."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mitorch_service.errors import MachineTrouble, SettingsError
from mitorch_service.file_access import FileAccess


class Receipt(BaseModel):
    """The progress of one round, written after each batch."""

    model_config = ConfigDict(frozen=True)

    source: str
    content: str  # the source's digest when it was checked
    round: int
    total: int
    done: int
    started_at: datetime
    finished_at: datetime | None = None


class ReceiptFile:
    """Stores the receipt of one submission."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def exists(self) -> bool:
        return self._path.exists()

    def load(self) -> Receipt | None:
        """None if there is no receipt, or a damaged one."""
        with suppress(OSError, ValidationError):
            return Receipt.model_validate_json(self._path.read_bytes())
        return None

    def save(self, receipt: Receipt) -> None:
        """Replaces the file atomically. Raises SettingsError, MachineTrouble."""
        new = self._path.with_suffix(".new")
        try:
            with writing(new):
                with open(new, "w", opener=FileAccess.like(new.parent).opener) as file:
                    file.write(receipt.model_dump_json())
                new.replace(self._path)
        finally:
            new.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises SettingsError where `path`, below the home, cannot be written; MachineTrouble if its disk is full."""
    try:
        yield
    except OSError as error:
        remedy = "Make room there, or name another folder."
        problem = f"cannot write {path} ({error.strerror})"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):  # which is no mistake in what was asked for
            raise MachineTrouble(f"MITORCH_HOME: {problem}. {remedy}") from error
        raise SettingsError("MITORCH_HOME", problem, remedy) from error
