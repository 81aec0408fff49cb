"""Many submissions at once: all checked into a copy on this machine first, then queued from it, each of them once.

What makes it once are the ids: the same key, round and place in the source always give the same id, and the store adds
none that is there. The copy and the receipt only save time; losing them costs a second check and no training. (But for
what was deleted from the database meanwhile: without the receipt it would be queued again.)
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
from mitorch_service.submission.submission import ConfigCheck, Lookups, Options, Submission, check_submission

BATCH = 1000
_BATCH_BYTES = 8_000_000  # a batch of big configs is shorter
_SHOWN_PROBLEMS = 20
_IDS = uuid.UUID("6f0c1f52-6a3e-5d52-9d0e-3f6f1b7a2c11")

Advance = Callable[[int], object]  # told how many entries were done since the last call


class Entry(NamedTuple):
    """One config of a source. Its place is what people find it by, and what its id is made of."""

    place: str  # "line 17", or a file's path within the folder
    text: bytes


@dataclass(frozen=True)
class Digest:
    """A whole source, read once."""

    content: str
    total: int
    first: str  # place
    last: str


class Receipt(BaseModel):
    """How far a bulk submission is: written after each batch."""

    model_config = ConfigDict(frozen=True)

    source: str
    content: str  # the source's digest when it was checked
    round: int
    total: int
    done: int
    started_at: datetime
    finished_at: datetime | None = None


class BulkSubmission:
    """One source under one key. Two processes never work on the same one at a time on this machine."""

    def __init__(self, store: Store, folder: Path, key: str, options: Options) -> None:
        self._store, self._options, self._key = store, options, key
        self._copy = folder / f"{key}.jsonl.gz"
        self._receipt = folder / f"{key}.json"
        self._lock = folder / f"{key}.lock"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Raises NotAllowed while another process has it."""
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
        """Where it stands: as noted here, or else as the database tells."""
        with suppress(OSError, ValidationError):
            return Receipt.model_validate_json(self._receipt.read_bytes())
        round = 0
        while self._is_there(digest.first, round + 1):
            round += 1
        return self._start(source, digest, round)

    def again(self, receipt: Receipt, source: str, digest: Digest) -> Receipt:
        """The next round, once this one is finished; until then this one."""
        finished = receipt.finished_at or (not self._receipt.exists() and self._is_there(digest.last, receipt.round))
        if not finished:
            return receipt
        self.forget_copy()
        return self._start(source, digest, receipt.round + 1)

    def is_checked(self) -> bool:
        """Whether the copy is there, with data sets pinned and all: written by a check that found nothing wrong."""
        return self._copy.exists() and self._receipt.exists()

    def check(
        self, receipt: Receipt, digest: Digest, entries: Iterable[Entry], extra_check: ConfigCheck, advance: Advance
    ) -> Receipt:
        """Checks all entries and keeps a copy, compressed. Raises InvalidInput with the first problems."""
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
        """Writes what is not yet in the database, from the copy; notes it batch by batch."""
        self._store.prepare()
        if not self._holds_what_was_done(receipt):
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
        """How many are queued for certain."""
        with suppress(OSError, ValidationError):
            return Receipt.model_validate_json(self._receipt.read_bytes()).done
        return 0

    def counts(self) -> tuple[int, int]:
        """Trainings and jobs in the copy."""
        jobs = total = 0
        for line in self._lines(0):
            total += 1
            jobs += json.loads(line)["search"] is not None
        return total - jobs, jobs

    def ids(self, receipt: Receipt, entries: Iterable[Entry]) -> Iterator[tuple[str, str]]:
        """The place and id of each, in order."""
        kept = self._copy.exists()
        places = (json.loads(line)["place"] for line in self._lines(0)) if kept else (entry.place for entry in entries)
        return ((place, self._id(place, receipt.round)) for place in places)

    def forget_copy(self) -> None:
        """It has served."""
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

    def _holds_what_was_done(self, receipt: Receipt) -> bool:
        """Whether the database still has the last one noted as queued: it may have been set back or replaced."""
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
        """A file that is there wholly, and on the disk, or not at all."""
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
    """What identifies a source: its entries and their places, whatever it is called."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._total, self._first, self._last = 0, "", ""

    def add(self, entry: Entry) -> None:
        self._hash.update(f"{entry.place}\0{len(entry.text)}\0".encode())
        self._hash.update(entry.text)
        self._total += 1
        self._first, self._last = self._first or entry.place, entry.place

    def digest(self, source: str) -> Digest:
        """Raises InvalidInput if there was no entry."""
        if not self._total:
            raise InvalidInput(source, [Problem("", "holds no config; write one JSON object a line, or *.json files")])
        return Digest(self._hash.hexdigest(), self._total, self._first, self._last)


def submission_key(content: str, options: Options) -> str:
    """The same for the same content (or chosen word) and the same options."""
    parts = [content, options.priority, options.dataset and str(options.dataset), options.name, *sorted(options.tags)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


class _Wrong:
    """The first problems, and how many there are."""

    def __init__(self, source: str, total: int) -> None:
        self._source, self._total = source, total
        self._lines = self._all = 0
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
        told = f"{self._source} ({self._lines} of {self._total} configs are wrong; nothing was queued)"
        rest = self._all - len(self._shown)
        if rest:
            last = self._shown.pop()
            self._shown.append(Problem(last.path, f"{last.message}\n  … and {rest} more"))
            told += ", the first"
        raise InvalidInput(told, self._shown)


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
