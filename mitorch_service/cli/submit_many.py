"""misubmit --many: one source of many configs, checked, then queued, with its progress shown."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

import click

from mitorch_service.cli.submit_one import config_check
from mitorch_service.cli.views.output import show_json, stream_json, text
from mitorch_service.errors import InvalidInput, Problem, StoreError
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.validation import MAX_CONFIG_BYTES
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store
from mitorch_service.submission.bulk import (
    Advance,
    BulkSubmission,
    Digest,
    Digester,
    Entry,
    Receipt,
    submission_key,
)
from mitorch_service.submission.submission import ConfigCheck, Options

_SECONDS = 5.0  # between two lines of progress on a pipe


def submit_many(
    store: Store,
    settings: Settings,
    path: str,
    options: Options,
    key: str | None,
    again: bool,
    explain: bool,
    as_json: bool,
) -> None:
    """Queues what is not yet queued of the source at `path`; prints how many that are. Raises InvalidInput, and queues
    nothing, if any of its configs is wrong."""
    folder = _folder(settings)
    source = Source(path, folder)
    digest = _read(source)
    bulk = BulkSubmission(store, folder, submission_key(key or digest.content, options), options)
    with bulk.alone():
        receipt = bulk.receipt(source.name, digest)
        if again:
            receipt = bulk.again(receipt, source.name, digest)
        before = receipt.done
        if receipt.finished_at is None:
            receipt = _checked(bulk, source, receipt, digest, config_check(settings))
            if not explain:
                receipt = _queued(bulk, receipt)
        if explain and receipt.finished_at is None:
            _explain(bulk, receipt, as_json)
        else:
            _tell(bulk, source, receipt, before, as_json)
        bulk.forget_copy()


class Source:
    """Where the configs of a bulk submission are read from, as often as wanted."""

    def __init__(self, path: str, folder: Path) -> None:
        """A folder (every *.json in it and below), a file with a config a line, or `-`; what can be read once only,
        such as standard input, is copied into a nameless file in `folder` first. Raises InvalidInput."""
        self.name = "standard input" if path == "-" else path
        self._folder = Path(path) if path != "-" and Path(path).is_dir() else None
        self._path = Path(path)
        self._copied: BinaryIO | None = None
        if self._folder is None and not (path != "-" and self._path.is_file()):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._reading(), _once(path) as stream:
                self._copied = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it lives as long as the source
                shutil.copyfileobj(stream, self._copied, 1 << 20)

    def entries(self) -> Iterator[Entry]:
        """In an order that is always the same. Raises InvalidInput for what cannot be read."""
        with self._reading():
            if self._folder is not None:
                yield from _files(self._folder)
            elif self._copied is not None:
                self._copied.seek(0)
                yield from _lines(self._copied)
            else:
                with self._path.open("rb") as file:
                    yield from _lines(file)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename if isinstance(error.filename, str) else ""
            raise InvalidInput(self.name, [Problem(where, f"cannot be read: {error.strerror}")]) from error


@contextmanager
def show_progress(what: str, total: int | None) -> Iterator[Advance]:
    """A bar on a terminal, else a line every few seconds; both on standard error. Gives what is called with how many
    more are done."""
    if not sys.stderr.isatty():
        of = "" if total is None else f" of {total}"
        yield _Throttled(lambda done: click.echo(f"{what}: {done}{of}", err=True), _SECONDS)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        advance = _Throttled(lambda done: progress.update(task, completed=done), 0.1)
        yield advance
        progress.update(task, completed=advance.done, total=advance.done if total is None else total)


class _Throttled:
    """Adds up; shows the sum now and then."""

    def __init__(self, show: Callable[[int], object], seconds: float) -> None:
        self.done = 0
        self._show, self._seconds = show, seconds
        self._next = time.monotonic() + seconds

    def __call__(self, more: int) -> None:
        self.done += more
        if time.monotonic() >= self._next:
            self._show(self.done)
            self._next = time.monotonic() + self._seconds


def _folder(settings: Settings) -> Path:
    """Copies and receipts of one database: what is queued in one is not in the other."""
    database = f"{mask_secrets(settings.db_uri)} {settings.db_name}"
    return settings.home / "many" / hashlib.sha256(database.encode()).hexdigest()[:12]


def _read(source: Source) -> Digest:
    digester = Digester()
    with show_progress("reading", None) as advance:
        for entry in source.entries():
            digester.add(entry)
            advance(1)
    return digester.digest(source.name)


def _checked(bulk: BulkSubmission, source: Source, receipt: Receipt, digest: Digest, check: ConfigCheck) -> Receipt:
    if bulk.is_checked():
        if receipt.content != digest.content:
            began = text(receipt.started_at)
            click.echo(f"{source.name} is not what it was: going on with what was checked at {began}", err=True)
        return receipt
    with show_progress("checking", digest.total) as advance:
        return bulk.check(receipt, digest, source.entries(), check, advance)


def _explain(bulk: BulkSubmission, receipt: Receipt, as_json: bool) -> None:
    trainings, jobs = bulk.counts()
    if as_json:
        show_json({"source": receipt.source, "trainings": trainings, "jobs": jobs, "queued_before": receipt.done})
        return
    before = f", {receipt.done} of them are already" if receipt.done else ""
    click.echo(f"{receipt.source} is right: {trainings} trainings and {jobs} jobs would be queued{before}")


def _queued(bulk: BulkSubmission, receipt: Receipt) -> Receipt:
    try:
        with show_progress("queueing", receipt.total) as advance:
            return bulk.queue(receipt, advance)
    except (KeyboardInterrupt, StoreError):
        told = f"{bulk.done()} of {receipt.total} are queued; the same command goes on from there"
        click.echo(told, err=True)
        raise


def _tell(bulk: BulkSubmission, source: Source, receipt: Receipt, before: int, as_json: bool) -> None:
    now, finished = receipt.total - before, text(receipt.finished_at)
    if as_json:
        ids = ({"place": place, "id": id} for place, id in bulk.ids(receipt, source.entries()))
        counts = {"queued": now, "queued_before": before, "round": receipt.round, "finished_at": receipt.finished_at}
        stream_json([("source", receipt.source), *counts.items(), ("submissions", ids)])
    elif now:
        click.echo(f"{now} queued" + (f", {before} were before" if before else ""))
    else:
        click.echo(f"0 queued: all {before} already queued on {finished} UTC; --again queues it once more")


def _once(path: str) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if path == "-" else Path(path).open("rb")


def _lines(file: BinaryIO) -> Iterator[Entry]:
    """The lines that are not blank; of one that is too long only so much that this is seen."""
    number = 0
    while text := file.readline(MAX_CONFIG_BYTES + 2):
        number += 1
        rest = text
        while not rest.endswith(b"\n") and (rest := file.readline(MAX_CONFIG_BYTES)):
            pass
        if text.strip():
            yield Entry(f"line {number}", text.rstrip(b"\r\n"))


def _files(folder: Path) -> Iterator[Entry]:
    """By name, the files of a folder before those of the folders in it; hidden ones are left out. Holds the names of
    one folder at a time."""

    def refuse(error: OSError) -> None:
        raise error

    for where, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if name.endswith(".json") and not name.startswith(".")):
            path = Path(where, name)
            with path.open("rb") as file:
                place = os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")
                yield Entry(place, file.read(MAX_CONFIG_BYTES + 1))
