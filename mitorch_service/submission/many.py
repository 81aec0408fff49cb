"""Runs a bulk submission: reads the source, checks all of it, queues what is not queued yet."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mitorch_service.errors import MachineTrouble, SettingsError, StoreError
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store
from mitorch_service.submission.bulk import Advance, BulkSubmission, submission_key
from mitorch_service.submission.receipt import Receipt
from mitorch_service.submission.script_code import ConfigCheck
from mitorch_service.submission.source import Digest, Digester, Source
from mitorch_service.submission.submission import Options


class Progress(ABC):
    """Shows the progress of a bulk submission."""

    @abstractmethod
    def phase(self, name: str, total: int | None) -> AbstractContextManager[Advance]:
        """Begins a phase of `total` entries (None: unknown)."""

    @abstractmethod
    def note(self, text: str) -> None:
        """Shows something that the person should know."""


@dataclass(frozen=True)
class ManyResult:
    """The result of a bulk submission."""

    receipt: Receipt
    queued_before: int
    preview: tuple[int, int] | None  # trainings and jobs that would be queued, if that was asked for
    ids: Iterator[tuple[str, str]]  # place and id of each


def bulk_folder(settings: Settings) -> Path:
    """The folder of copies and receipts for the database of the settings."""
    database = f"{mask_secrets(settings.db_uri)} {settings.db_name}"
    return settings.home / "many" / hashlib.sha256(database.encode()).hexdigest()[:12]


@contextmanager
def submit_many(
    store: Store,
    folder: Path,
    source: Source,
    options: Options,
    check: ConfigCheck,
    progress: Progress,
    *,
    key: str | None = None,
    again: bool = False,
    dry_run: bool = False,
) -> Iterator[ManyResult]:
    """Queues what is not queued yet of a source; with `again` all of it once more if it is. `key` takes the place of
    the content as its identity. The result's ids can be read within the context. Raises InvalidInput, and queues
    nothing, if any config is wrong; NotAllowed while another process does the same."""
    digest = _read(source, progress)
    bulk = BulkSubmission(store, folder, submission_key(key or digest.content, options), options)
    with bulk.alone():
        receipt = bulk.receipt(source.name, digest)
        if again:
            receipt = bulk.next_round(receipt, source.name, digest)
        before = receipt.done
        is_open = receipt.finished_at is None
        if is_open:
            receipt = _check(bulk, source, receipt, digest, check, progress)
        if is_open and not dry_run:
            receipt = _queue(bulk, receipt, progress)
        preview = bulk.counts() if is_open and dry_run else None
        yield ManyResult(receipt, before, preview, bulk.ids(receipt, source.entries()))
        bulk.forget_copy()


def _read(source: Source, progress: Progress) -> Digest:
    digester = Digester()
    with progress.phase("reading", None) as advance:
        for entry in source.entries():
            digester.add(entry)
            advance(1)
    return digester.digest(source.name)


def _check(
    bulk: BulkSubmission, source: Source, receipt: Receipt, digest: Digest, check: ConfigCheck, progress: Progress
) -> Receipt:
    if bulk.is_checked():
        if receipt.content != digest.content:
            began = f"{receipt.started_at:%Y-%m-%d %H:%M:%S} UTC"
            progress.note(f"{source.name} has changed: continuing with what was checked at {began}")
        return receipt
    with progress.phase("checking", digest.total) as advance:
        return bulk.check(receipt, digest, source.entries(), check, advance)


def _queue(bulk: BulkSubmission, receipt: Receipt, progress: Progress) -> Receipt:
    try:
        with progress.phase("queueing", receipt.total) as advance:
            return bulk.queue(receipt, advance)
    except (KeyboardInterrupt, StoreError, SettingsError, MachineTrouble):
        progress.note(f"{bulk.done()} of {receipt.total} are queued; the same command continues from there")
        raise
