"""The checked configs of a bulk submission, in a compressed file on this machine."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mitorch_service.file_access import FileAccess
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.search.job import SearchConfig
from mitorch_service.submission.receipt import writing
from mitorch_service.submission.submission import Submission

BATCH = 1000  # configs
_BATCH_BYTES = 8_000_000  # a batch of big configs is shorter


@dataclass(frozen=True)
class CheckedLine:
    """A line of the copy: a submission and its place in the source."""

    place: str
    submission: Submission

    @classmethod
    def parse(cls, line: bytes) -> CheckedLine:
        data = json.loads(line)
        search = None if data["search"] is None else SearchConfig.model_validate(data["search"])
        return cls(data["place"], Submission(DatasetRef.parse(data["dataset"]), data["config"], search))

    def to_bytes(self) -> bytes:
        submission = self.submission
        data = {
            "place": self.place,
            "dataset": str(submission.dataset),
            "config": submission.config,
            "search": None if submission.search is None else submission.search.model_dump(mode="json"),
        }
        return json.dumps(data).encode() + b"\n"


class CheckedCopy:
    """A file with one checked submission per line. It exists only if all of the source passed the check."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def exists(self) -> bool:
        return self._path.exists()

    def delete(self) -> None:
        self._path.unlink(missing_ok=True)

    @contextmanager
    def create(self) -> Iterator[Callable[[CheckedLine], None]]:
        """Gives the function that adds a line. The file appears at the end, synced to disk, or not at all. Raises
        SettingsError."""
        part = self._path.with_suffix(".part")
        try:
            opener = FileAccess.like(part.parent).opener
            with writing(part), open(part, "wb", opener=opener) as file:  # what is buffered is written at its end, too
                compressed = gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1)

                def add(line: CheckedLine) -> None:
                    with writing(part):
                        compressed.write(line.to_bytes())

                yield add
                with writing(part):
                    compressed.close()
                    file.flush()
                    os.fsync(file.fileno())
                    part.replace(self._path)
        finally:
            part.unlink(missing_ok=True)

    def counts(self) -> tuple[int, int]:
        """Counts trainings and jobs."""
        jobs = total = 0
        for line in self._lines(0):
            total += 1
            jobs += json.loads(line)["search"] is not None
        return total - jobs, jobs

    def places(self, start: int = 0) -> Iterator[str]:
        """The places from the line `start` on."""
        return (json.loads(line)["place"] for line in self._lines(start))

    def batches(self, start: int) -> Iterator[list[CheckedLine]]:
        """The submissions from the line `start` on, in batches that the database takes at once."""
        batch: list[CheckedLine] = []
        size = 0
        for line in self._lines(start):
            batch.append(CheckedLine.parse(line))
            size += len(line)
            if len(batch) == BATCH or size > _BATCH_BYTES:
                yield batch
                batch = []
                size = 0
        if batch:
            yield batch

    def _lines(self, start: int) -> Iterator[bytes]:
        with gzip.open(self._path) as file:
            for number, line in enumerate(file):
                if number >= start:
                    yield line
