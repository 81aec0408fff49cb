"""Submits many configs at once: all are checked into a copy on this machine first, then queued from it, each once.

The ids make it once: the same key, round and place in the source always give the same id, and the store adds no id
twice. The copy and the receipt only save time; losing them costs a second check and no training. (Except for what was
deleted from the database meanwhile: without the receipt it would be queued again.)
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from mitorch_service.errors import BrokenDocument, InvalidInput, NotAllowed, NotFound, Problem
from mitorch_service.file_access import PRIVATE, FileAccess
from mitorch_service.models.config.validation import parse_object
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.submission.checked_copy import CheckedCopy, CheckedLine
from mitorch_service.submission.lookups import Lookups
from mitorch_service.submission.receipt import Receipt, ReceiptFile, writing
from mitorch_service.submission.script_code import ConfigCheck, check_in
from mitorch_service.submission.source import Digest, Digester, Entry
from mitorch_service.submission.submission import Options, check_submission
from mitorch_service.wording.counted import are, counted

_SHOWN_PROBLEMS = 20
_IDS = uuid.UUID("6f0c1f52-6a3e-5d52-9d0e-3f6f1b7a2c11")

Advance = Callable[[int], object]  # called with the number of entries done since the last call


class BulkSubmission:
    """Checks and queues one source under one key."""

    def __init__(self, store: Store, folder: Path, key: str, options: Options) -> None:
        self._store = store
        self._options = options
        self._key = key
        self._copy = CheckedCopy(folder / f"{key}.jsonl.gz")
        self._receipt = ReceiptFile(folder / f"{key}.json")
        self._lock = folder / f"{key}.lock"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other processes of this machine from the same submission. Raises NotAllowed while one has it."""
        with writing(self._lock):
            PRIVATE.make_folder(self._lock.parent)
            lock = open(self._lock, "w", opener=FileAccess.like(self._lock.parent).opener)  # noqa: SIM115 - closed below
        with lock:
            if not self._try_lock(lock):
                remedy = "Wait for it, or stop it and run this again."
                raise NotAllowed("submission", self._key[:8], "under way", "started twice", remedy)
            try:
                yield
            finally:
                self._lock.unlink(missing_ok=True)

    def receipt(self, source: str, digest: Digest) -> Receipt:
        """The progress: from the receipt on this machine, or else from what is in the database."""
        known = self._receipt.load()
        if known is not None:
            return known
        round = 0
        while self._is_there(digest.first, round + 1):
            round += 1
        return _start(source, digest, round)

    def next_round(self, receipt: Receipt, source: str, digest: Digest) -> Receipt:
        """The round that follows a finished one; an unfinished one is returned as it is."""
        finished = receipt.finished_at or (not self._receipt.exists() and self._is_there(digest.last, receipt.round))
        if not finished:
            return receipt
        self.forget_copy()
        return _start(source, digest, receipt.round + 1)

    def is_checked(self) -> bool:
        """Whether a check found nothing wrong and wrote the copy, in which data sets are pinned."""
        return self._copy.exists() and self._receipt.exists()

    def check(
        self, receipt: Receipt, digest: Digest, entries: Iterable[Entry], extra_check: ConfigCheck, advance: Advance
    ) -> Receipt:
        """Checks all entries and writes the copy. Raises InvalidInput with the first problems."""
        failures = _Failures(receipt.source, digest.total)
        lookups = Lookups(self._store)
        digester = Digester()
        with self._copy.create() as add:
            for entry in entries:
                digester.add(entry)
                try:
                    data = parse_object(entry.place, entry.text)
                    checks = check_in(entry.folder, extra_check)
                    submission = check_submission(lookups, entry.place, data, self._options.dataset, checks)
                except InvalidInput as error:
                    failures.add(entry.place, error.problems)
                else:
                    add(CheckedLine(entry.place, submission))
                advance(1)
            failures.raise_any()
            if digester.digest(receipt.source) != digest:
                raise InvalidInput(receipt.source, [Problem("", "changed while it was read; run the command again")])
        if receipt.content != digest.content:
            receipt = _start(receipt.source, digest, receipt.round)
        self._receipt.save(receipt)
        return receipt

    def queue(self, receipt: Receipt, advance: Advance) -> Receipt:
        """Queues what is not in the database yet, from the copy; writes the receipt after each batch."""
        self._store.prepare()
        if not self._holds_what_was_done(receipt):
            receipt = receipt.model_copy(update={"done": 0})
        advance(receipt.done)
        for batch in self._copy.batches(receipt.done):
            self._add(receipt.round, batch)
            receipt = receipt.model_copy(update={"done": receipt.done + len(batch)})
            self._receipt.save(receipt)
            advance(len(batch))
        receipt = receipt.model_copy(update={"finished_at": datetime.now(UTC)})
        self._receipt.save(receipt)
        return receipt

    def done(self) -> int:
        """The number that is certainly queued."""
        known = self._receipt.load()
        return 0 if known is None else known.done

    def counts(self) -> tuple[int, int]:
        """Trainings and jobs in the copy."""
        return self._copy.counts()

    def ids(self, receipt: Receipt, entries: Iterable[Entry]) -> Iterator[tuple[str, str]]:
        """The place and id of each, in order."""
        places = self._copy.places() if self._copy.exists() else (entry.place for entry in entries)
        return ((place, self._id(place, receipt.round)) for place in places)

    def forget_copy(self) -> None:
        """Deletes the copy, which is of no use once its configs are queued."""
        self._copy.delete()

    def _try_lock(self, lock: TextIO) -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._lock.stat().st_ino == os.fstat(lock.fileno()).st_ino  # not one that was just removed
        except (BlockingIOError, FileNotFoundError):
            return False

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
        """Whether the database still has the last one that the receipt counts: it may have been restored from a backup
        or replaced."""
        if receipt.done == 0:
            return True
        return self._is_there(next(self._copy.places(receipt.done - 1)), receipt.round)

    def _add(self, round: int, batch: list[CheckedLine]) -> None:
        now = self._store.now()
        documents = [line.submission.to_document(self._id(line.place, round), self._options, now) for line in batch]
        self._store.queue.add_trainings([document for document in documents if isinstance(document, Training)])
        for document in documents:
            if isinstance(document, Job):
                self._store.jobs.add_job(document)


def submission_key(content: str, options: Options) -> str:
    """Identifies a submission: the same for the same content (or chosen word) and the same options."""
    parts = [content, options.priority, options.dataset and str(options.dataset), options.name, *sorted(options.tags)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _start(source: str, digest: Digest, round: int) -> Receipt:
    return Receipt(
        source=source, content=digest.content, round=round, total=digest.total, done=0, started_at=datetime.now(UTC)
    )


class _Failures:
    """Collects the first problems, and counts all."""

    def __init__(self, source: str, total: int) -> None:
        self._source = source
        self._total = total
        self._configs = 0
        self._problems = 0
        self._shown: list[Problem] = []

    def add(self, place: str, problems: list[Problem]) -> None:
        self._configs += 1
        self._problems += len(problems)
        for problem in problems[: _SHOWN_PROBLEMS - len(self._shown)]:
            text = str(problem).removeprefix("line 1, ") if place.startswith("line ") else str(problem)
            self._shown.append(Problem(place, text))

    def raise_any(self) -> None:
        """Raises InvalidInput if there was a problem."""
        if not self._configs:
            return
        wrong = f"{self._configs} of {counted(self._total, 'config')} {are(self._configs)} wrong"
        summary = f"{self._source} ({wrong}; nothing was queued)"
        rest = self._problems - len(self._shown)
        if rest:
            last = self._shown.pop()
            self._shown.append(Problem(last.path, f"{last.message}\n  … and {rest} more"))
            summary += ", the first"
        raise InvalidInput(summary, self._shown)
