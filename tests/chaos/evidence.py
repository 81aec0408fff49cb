"""Everything that is known at the end of a chaos run: documents, notes, processes, files."""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitorch_service.backends.local.processes import read_processes
from mitorch_service.backends.run_files import read_json
from mitorch_service.errors import BrokenDocument
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.patience import persistently
from mitorch_service.stores.requests import Collection, StoredDocument
from mitorch_service.temporary_folders import remove_dead_folders
from tests.chaos.engine_evidence import EngineEvidence, is_engine, read_logs, read_models
from tests.chaos.folders import Folders
from tests.chaos.processes import living
from tests.chaos.submitter import ACCEPTED, CANCELED

# Folders without a lock, which the documentation allows to stay until they are old.
_UNLOCKED = re.compile(r"mitorch-(package|checkpoint|code|plots|viewer|model)-\w{8}")
_PATIENCE_SECONDS = 300.0
_UNFORESEEN = ("Traceback (most recent call last)", "UNFORESEEN")


@dataclass(frozen=True)
class Record:
    """The record of an epoch."""

    epoch: int
    attempt: int
    val_loss: float | None
    train_loss: float | None = None


@dataclass
class Evidence:
    """Read once everything is over."""

    trainings: dict[str, Training] = field(default_factory=dict)
    records: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))  # by training, in order
    jobs: dict[str, Job] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)  # as the store keeps them
    corrected: dict[str, int] = field(default_factory=dict)  # the same after `micontrol prune` has counted anew
    exact_up_to: float = math.inf  # counts above may be off until then
    unreadable: list[str] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)  # ids of trainings and jobs
    canceled: set[str] = field(default_factory=set)  # ids whose cancellation was ordered
    notes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # the scripts', by training, in order
    touched: set[str] = field(default_factory=set)  # names of the runs that were killed or stopped, or their start was
    runs: set[str] = field(default_factory=set)  # names of the runs that have a folder
    outlived: set[str] = field(default_factory=set)  # names of the runs that were seen alive beside a later one
    left_processes: list[str] = field(default_factory=list)
    left_files: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    unforeseen: list[str] = field(default_factory=list)
    engine: EngineEvidence = field(default_factory=EngineEvidence)
    most_at_once: int = 0
    slots: int = 1


def read_documents(evidence: Evidence, store: Store) -> None:
    """Adds trainings, jobs, records and counts."""
    for document in _documents(store, "trainings"):
        try:
            training = Training.from_document(document)
            evidence.trainings[training.id] = training
        except BrokenDocument as error:
            evidence.unreadable.append(f"training {document.get('_id')}: {error}")
    for document in _documents(store, "jobs"):
        job = Job.from_document(document)
        evidence.jobs[job.id] = job
    for document in _documents(store, "training_results"):
        record = Record(document["epoch"], document["attempt"], document["val_loss"], document["train_loss"])
        evidence.records[str(document["_id"]).partition(":")[0]].append(record)
    for records in evidence.records.values():
        records.sort(key=lambda record: record.epoch)
    evidence.counts = persistently(store.trainings.count_trainings, _PATIENCE_SECONDS)
    persistently(lambda: store.retention.compact(lambda: None), _PATIENCE_SECONDS)
    evidence.corrected = persistently(store.trainings.count_trainings, _PATIENCE_SECONDS)


def _documents(store: Store, collection: Collection) -> list[StoredDocument]:
    """All of them, also of a database that a moment ago was killed."""
    return persistently(lambda: [*store.backup.documents(collection)], _PATIENCE_SECONDS)


def read_folders(evidence: Evidence, folders: Folders) -> None:
    """Adds what files and processes tell."""
    evidence.accepted = {line["id"] for line in folders.lines(ACCEPTED)}
    evidence.canceled = {line["id"] for line in folders.lines(CANCELED)}
    for path in folders.notes.iterdir():
        evidence.notes[path.stem] = [*folders.lines(f"notes/{path.name}")]
    engine = [training for training in evidence.trainings.values() if is_engine(training)]
    evidence.notes.update(read_logs(folders, engine))
    read_models(evidence.engine, folders, engine)
    runs = folders.home / "runs"
    evidence.runs = {path.name for path in runs.iterdir()} if runs.exists() else set()
    evidence.left_processes = [f"{one.pid} {one.role} {one.run or ''}" for one in living(folders.root)]
    evidence.left_files = [*_left_files(folders)]
    evidence.unforeseen = [*_unforeseen([*folders.logs.iterdir(), *runs.glob("*/log.txt")])]


def touched_at_start(folders: Folders, processes: Set[tuple[int, float]]) -> Iterator[str]:
    """Yields the names of the runs that were hit before their processes told whose they are; `processes`: all that were
    hit, by id and start."""
    for folder in (folders.home / "runs").glob("mt-*"):
        spawned = read_json(folder / "spawned.json")
        if spawned is None:
            if read_processes(folder) is None:
                yield folder.name  # its controller was hit before it had started a supervisor, or before it told of it
        elif tuple(spawned["supervisor"]) in processes:
            yield folder.name


def _left_files(folders: Folders) -> Iterator[str]:
    """Yields what stays in the temporary folder once the next process has looked into it, and undelivered work."""
    before, tempfile.tempdir = tempfile.tempdir, str(folders.temporary)
    try:
        remove_dead_folders()
    finally:
        tempfile.tempdir = before
    for entry in os.scandir(folders.temporary):
        if not _UNLOCKED.fullmatch(entry.name):
            yield f"tmp/{entry.name}"
    kept = folders.home / "undelivered"
    yield from (f"undelivered/{path.name}" for path in (kept.iterdir() if kept.exists() else ()))


def _unforeseen(logs: Sequence[Path]) -> Iterator[str]:
    """Errors that nobody foresaw: tracebacks in the output of any process."""
    for path in logs:
        lines = path.read_text("utf-8", "replace").splitlines()
        for number, line in enumerate(lines):
            if any(text in line for text in _UNFORESEEN):
                yield f"{path.parent.name}/{path.name}:{number + 1}: {line} … {_cause(lines[number + 1 :])}"


def _cause(lines: Sequence[str]) -> str:
    """The last line of a traceback."""
    return next((line for line in lines if re.match(r"(\S+ )?(\S+ )?[\w.]+(Error|Exception|Exit|Refused)\b", line)), "")
