"""Submits many configs: checks all of them into a copy on this machine, then queues them from it, each exactly once.

The same key, round and place in the source always give the same id, and the store adds no id twice. Copy and receipt
only save time; losing them costs a second check. (Except for a training that was deleted meanwhile: without the receipt
it is queued again.)
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from pydantic import BaseModel, ConfigDict, ValidationError

from mitorch_service.errors import BrokenDocument, InvalidInput, NotAllowed, NotFound, Problem, SettingsError
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.job import Job, SearchConfig
from mitorch_service.models.training import Training
from mitorch_service.models.validation import parse_object
from mitorch_service.stores.base import Store
from mitorch_service.submission.lookups import Lookups
from mitorch_service.submission.submission import ConfigCheck, Options, Submission, check_submission

BATCH = 1000
_BATCH_BYTES = 8_000_000  # a batch of big configs is shorter
_SHOWN_PROBLEMS = 20
_IDS = uuid.UUID("6f0c1f52-6a3e-5d52-9d0e-3f6f1b7a2c11")

Advance = Callable[[int], object]  # called with the number of entries done since the last call


class Entry(NamedTuple):
    """One config of a source. Its id follows from its place, which error messages name."""

    place: str  # "line 17", or a file's path within the folder
    text: bytes


@dataclass(frozen=True)
class Digest:
    """The digest of a whole source, read once."""

    content: str
    total: int
    first: str  # place
    last: str


class Receipt(BaseModel):
    """The progress of a bulk submission, written after each batch."""

    model_config = ConfigDict(frozen=True)

    source: str
    content: str  # the source's digest when it was checked
    round: int
    total: int
    done: int
    started_at: datetime
    finished_at: datetime | None = None


class BulkSubmission:
    """The submission of one source under one key. Only one process of this machine works on it at a time."""

    def __init__(self, store: Store, folder: Path, key: str, options: Options) -> None:
        self._store = store
        self._options = options
        self._key = key
        self._copy = folder / f"{key}.jsonl.gz"
        self._receipt = folder / f"{key}.json"
        self._lock = folder / f"{key}.lock"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Locks it. Raises NotAllowed while another process holds the lock."""
        with _writing(self._lock):
            self._lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = self._lock.open("w")
        with lock:
            if not self._locked(lock):
                remedy = "Wait for it, or stop it and run this again."
                raise NotAllowed("submission", self._key[:8], "under way", "started twice", remedy)
            try:
                yield
            finally:
                self._lock.unlink(missing_ok=True)

    def receipt(self, source: str, digest: Digest) -> Receipt:
        """Returns the stored receipt, or else one for the last round in the database."""
        with suppress(OSError, ValidationError):
            return Receipt.model_validate_json(self._receipt.read_bytes())
        round = 0
        while self._is_there(digest.first, round + 1):
            round += 1
        return self._start(source, digest, round)

    def again(self, receipt: Receipt, source: str, digest: Digest) -> Receipt:
        """Returns the receipt of the next round if this one is finished, else this one."""
        finished = receipt.finished_at or (not self._receipt.exists() and self._is_there(digest.last, receipt.round))
        if not finished:
            return receipt
        self.forget_copy()
        return self._start(source, digest, receipt.round + 1)

    def is_checked(self) -> bool:
        """Whether there is a copy, which only a check without problems writes."""
        return self._copy.exists() and self._receipt.exists()

    def check(
        self, receipt: Receipt, digest: Digest, entries: Iterable[Entry], extra_check: ConfigCheck, advance: Advance
    ) -> Receipt:
        """Checks all entries into a compressed copy. Raises InvalidInput with the first problems."""
        wrong = _Wrong(receipt.source, digest.total)
        lookups, digester = Lookups(self._store), Digester()
        with self._new_copy() as write:
            for entry in entries:
                digester.add(entry)
                try:
                    data = parse_object(entry.place, entry.text)
                    submission = check_submission(lookups, entry.place, data, self._options.dataset, extra_check)
                except InvalidInput as error:
                    wrong.add(entry.place, error.problems)
                else:
                    write(_to_line(entry.place, submission))
                advance(1)
            wrong.raise_any()
            if digester.digest(receipt.source) != digest:
                raise InvalidInput(receipt.source, [Problem("", "changed while it was read; run the command again")])
        if receipt.content != digest.content:
            receipt = self._start(receipt.source, digest, receipt.round)
        self._save(receipt)
        return receipt

    def queue(self, receipt: Receipt, advance: Advance) -> Receipt:
        """Writes the documents that are not yet in the database, from the copy, and the receipt after each batch."""
        self._store.prepare()
        if not self._has_last_queued(receipt):
            receipt = receipt.model_copy(update={"done": 0})
        advance(receipt.done)
        for batch in _batches(self._lines(receipt.done)):
            self._add(receipt.round, batch)
            receipt = receipt.model_copy(update={"done": receipt.done + len(batch)})
            self._save(receipt)
            advance(len(batch))
        receipt = receipt.model_copy(update={"finished_at": datetime.now(UTC)})
        self._save(receipt)
        return receipt

    def done(self) -> int:
        """Returns how many are queued, according to the receipt."""
        with suppress(OSError, ValidationError):
            return Receipt.model_validate_json(self._receipt.read_bytes()).done
        return 0

    def counts(self) -> tuple[int, int]:
        """Returns the numbers of trainings and jobs in the copy."""
        jobs = total = 0
        for line in self._lines(0):
            total += 1
            jobs += json.loads(line)["search"] is not None
        return total - jobs, jobs

    def ids(self, receipt: Receipt, entries: Iterable[Entry]) -> Iterator[tuple[str, str]]:
        """Yields the place and id of each entry, in order."""
        kept = self._copy.exists()
        places = (json.loads(line)["place"] for line in self._lines(0)) if kept else (entry.place for entry in entries)
        return ((place, self._id(place, receipt.round)) for place in places)

    def forget_copy(self) -> None:
        """Deletes the copy."""
        self._copy.unlink(missing_ok=True)

    def _locked(self, lock: TextIO) -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._lock.stat().st_ino == os.fstat(lock.fileno()).st_ino  # not one that was just removed
        except (BlockingIOError, FileNotFoundError):
            return False

    def _start(self, source: str, digest: Digest, round: int) -> Receipt:
        return Receipt(
            source=source,
            content=digest.content,
            round=round,
            total=digest.total,
            done=0,
            started_at=datetime.now(UTC),
        )

    def _id(self, place: str, round: int) -> str:
        return str(uuid.uuid5(_IDS, f"{self._key} {round} {place}"))

    def _is_there(self, place: str, round: int) -> bool:
        id = self._id(place, round)
        for get in (self._store.trainings.get_training, self._store.jobs.get_job):
            try:
                return get(id) is not None
            except NotFound:
                continue
            except BrokenDocument:
                return True
        return False

    def _has_last_queued(self, receipt: Receipt) -> bool:
        """Whether the database still has the last document of the receipt: it may have been restored or replaced."""
        if receipt.done == 0:
            return True
        last = next(self._lines(receipt.done - 1))
        return self._is_there(json.loads(last)["place"], receipt.round)

    def _add(self, round: int, batch: list[bytes]) -> None:
        now = datetime.now(UTC)
        documents = [self._document(json.loads(line), round, now) for line in batch]
        self._store.queue.add_trainings([document for document in documents if isinstance(document, Training)])
        for document in documents:
            if isinstance(document, Job):
                self._store.jobs.add_job(document)

    def _document(self, line: dict[str, Any], round: int, now: datetime) -> Training | Job:
        search = None if line["search"] is None else SearchConfig.model_validate(line["search"])
        submission = Submission(DatasetRef.parse(line["dataset"]), line["config"], search)
        return submission.to_document(self._id(line["place"], round), self._options, now)

    def _lines(self, start: int) -> Iterator[bytes]:
        with gzip.open(self._copy) as file:
            for number, line in enumerate(file):
                if number >= start:
                    yield line

    @contextmanager
    def _new_copy(self) -> Iterator[Callable[[bytes], object]]:
        """Writes the copy atomically and durably."""
        part = self._copy.with_suffix(".part")
        try:
            with _writing(part):
                file = part.open("wb")
            with file:
                compressed = gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1)
                yield partial(_write, part, compressed)
                with _writing(part):
                    compressed.close()
                    file.flush()
                    os.fsync(file.fileno())
                    part.replace(self._copy)
        finally:
            part.unlink(missing_ok=True)

    def _save(self, receipt: Receipt) -> None:
        part = self._receipt.with_suffix(".new")
        with _writing(part):
            part.write_text(receipt.model_dump_json())
            part.replace(self._receipt)


class Digester:
    """Computes the digest of a source from its entries and their places, not its name."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._total = 0
        self._first = ""
        self._last = ""

    def add(self, entry: Entry) -> None:
        self._hash.update(f"{entry.place}\0{len(entry.text)}\0".encode())
        self._hash.update(entry.text)
        self._total += 1
        self._first = self._first or entry.place
        self._last = entry.place

    def digest(self, source: str) -> Digest:
        """Raises InvalidInput if there was no entry."""
        if not self._total:
            raise InvalidInput(source, [Problem("", "holds no config; write one JSON object a line, or *.json files")])
        return Digest(self._hash.hexdigest(), self._total, self._first, self._last)


def submission_key(content: str, options: Options) -> str:
    """Returns the key, which follows from the content (or the user's key) and the options."""
    parts = [content, options.priority, options.dataset and str(options.dataset), options.name, *sorted(options.tags)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


class _Wrong:
    """Collects the first problems, and counts all."""

    def __init__(self, source: str, total: int) -> None:
        self._source = source
        self._total = total
        self._lines = 0
        self._all = 0
        self._shown: list[Problem] = []

    def add(self, place: str, problems: list[Problem]) -> None:
        self._lines += 1
        self._all += len(problems)
        for problem in problems[: _SHOWN_PROBLEMS - len(self._shown)]:
            text = str(problem).removeprefix("line 1, ") if place.startswith("line ") else str(problem)
            self._shown.append(Problem(place, text))

    def raise_any(self) -> None:
        if not self._lines:
            return
        summary = f"{self._source} ({self._lines} of {self._total} configs are wrong; nothing was queued)"
        rest = self._all - len(self._shown)
        if rest:
            last = self._shown.pop()
            self._shown.append(Problem(last.path, f"{last.message}\n  … and {rest} more"))
            summary += ", the first"
        raise InvalidInput(summary, self._shown)


def _to_line(place: str, submission: Submission) -> bytes:
    search = None if submission.search is None else submission.search.model_dump(mode="json")
    config = submission.config
    line = {"place": place, "dataset": str(submission.dataset), "config": config, "search": search}
    return json.dumps(line).encode() + b"\n"


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if len(batch) == BATCH or size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _write(path: Path, file: gzip.GzipFile, line: bytes) -> None:
    with _writing(path):
        file.write(line)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = "Make room there, or name another folder."
        raise SettingsError("MITORCH_HOME", f"cannot write {path} ({error.strerror})", remedy) from error
