"""The results that the database has not taken yet, on the disk of the run's machine: if the run is killed meanwhile,
the next attempt there records them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from mitorch_service.models.result import EpochResult

_SUFFIX = ".jsonl"

log = logging.getLogger("mitorch")


class UnwrittenResults:
    """A file with a line for each result. It exists only while the database does not take them; without a disk that the
    next attempt finds, nothing is kept."""

    def __init__(self, folder: Path | None, training_id: str) -> None:
        """`folder`: that of undelivered work; None: the next attempt would not find it."""
        self._file = None if folder is None else folder / f"{training_id}{_SUFFIX}"
        self._failed = False

    def add(self, results: Sequence[EpochResult]) -> None:
        """Appends results. A disk that cannot be written is logged, once: they are in memory still."""
        if self._file is None or self._failed or not results:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lines = "".join(f"{json.dumps(result.model_dump(mode='json'))}\n" for result in results)
            # A line that an earlier process has left unfinished must not spoil this one.
            with open(self._file, "a", encoding="utf-8", opener=_for_its_owner) as file:
                file.write(f"\n{lines}")
        except OSError as error:
            self._failed = True
            log.warning("results that the database does not take are kept in memory only: %s", error)

    @property
    def keeps(self) -> bool:
        """Whether all that was added is on a disk that the next attempt finds."""
        return self._file is not None and not self._failed

    def read(self) -> list[EpochResult]:
        """Returns what earlier attempts have left, by epoch; the last result of an epoch counts."""
        try:
            text = "" if self._file is None else self._file.read_text("utf-8", "replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            log.warning("results that an earlier attempt has left cannot be read: %s", error)
            return []
        found = {result.epoch: result for result in _results(text)}
        return [found[epoch] for epoch in sorted(found)]

    def forget(self) -> None:
        """Removes the file: the database has everything."""
        try:
            if self._file is not None:
                self._file.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be removed: %s", self._file, error)


def results_file_training(path: Path) -> str | None:
    """Returns the training whose results a file of the folder holds; None for another file."""
    return path.stem if path.suffix == _SUFFIX and path.is_file() else None


def _results(text: str) -> Iterator[EpochResult]:
    """The whole lines: a process may have been killed while it wrote one."""
    for line in filter(str.strip, text.split("\n")):
        try:
            yield EpochResult.model_validate(json.loads(line))
        except (ValueError, ValidationError):
            log.warning("a line of the results that an earlier attempt has left is no result: %.80s", line)


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
