"""Delivers the files of an attempt that has done its work. Work that cannot be delivered is kept, never done again.

On a machine whose disk the next runs find too, the files are kept there, below `<home>/undelivered`: the next attempt
on this machine delivers them in place of training. On any other the run waits, with the settings of each moment, as an
expired SAS token may be renewed meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.errors import ArtifactError, InvalidKey, MachineTrouble
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.runs.context import END_PATIENCE, AttemptContext
from mitorch_service.runs.unwritten_results import results_file_training
from mitorch_service.stores.base import Store
from mitorch_service.stores.patience import backoff
from mitorch_service.stores.verbs.runs import RunEnd

_END = "end.json"
_PART = ".part-"  # the prefix of folders that are being written, or were when their run was killed
_OLD_SECONDS = 86400
_WORTH_KEEPING = (AttemptOutcome.COMPLETED, AttemptOutcome.PRUNED, AttemptOutcome.PAUSED)
_USELESS = (TrainingStatus.COMPLETED, TrainingStatus.PRUNED)

log = logging.getLogger("mitorch")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Upload:
    """A file to store."""

    artifact: str  # the name under which the training knows its address
    key: str
    file: Path
    suffix: str = ""  # of the file's address, if the artifact is a folder


@dataclass(frozen=True)
class Work:
    """An attempt's end, but for the addresses of its files, and these."""

    end: RunEnd
    uploads: Sequence[Upload]
    epochs: int | None  # whole ones that were done; None: what is recorded of earlier attempts stays as it is

    def deliver(self, artifacts: ArtifactStore) -> RunEnd:
        """Stores the files and returns the end with their addresses. One whose name the storage cannot hold is left
        out: no repetition would store it. Raises ArtifactError."""
        addresses = {}
        for one in self.uploads:
            try:
                addresses[one.artifact] = artifacts.put(one.key, one.file).removesuffix(one.suffix)
            except InvalidKey as error:
                log.warning("a file of the script is left out: %s", error)
        return replace(self.end, artifacts={**self.end.artifacts, **addresses})


def deliver(context: AttemptContext, work: Work, keep_results: Callable[[], bool] = lambda: True) -> RunEnd:
    """Delivers the work, or keeps it, or waits. Raises MachineTrouble where it could only be kept, or not even that.

    `keep_results` puts what the database has not taken yet on disk, and tells whether it is there: that comes before
    anything that waits on a network, and no end is kept without it.
    """
    keep_results()
    tries = count()

    def store() -> RunEnd:
        renew = context.renew if next(tries) > 0 else None
        try:
            return work.deliver(context.artifacts if renew is None else renew())
        except ArtifactError as error:
            if keep_results() and _keep(context, work):
                raise MachineTrouble(f"{error}; what was trained is kept, and delivered later", kept=True) from error
            raise

    return patiently(context, store)


def keep_end(context: AttemptContext, end: RunEnd) -> None:
    """Keeps the end of a training whose files are delivered, while the database does not take it: should this process
    be killed, the next attempt on this machine records it in place of training."""
    if end.outcome in _WORTH_KEEPING:
        _keep(context, Work(end, [], None))


def patiently(context: AttemptContext, step: Callable[[], Result]) -> Result:
    """Repeats a step that writes until it succeeds, the patience is over or the run is to end. Raises MachineTrouble,
    and at once whatever is neither ArtifactError nor OSError."""
    end = time.monotonic() + (END_PATIENCE if context.undelivered or context.renew else 0.0)
    failures = 0
    while True:
        try:
            return step()
        except (ArtifactError, OSError) as error:
            wait = backoff(failures)
            failures += 1
            log.warning("%s: repeated in %.0f s", error, wait)
            if time.monotonic() + wait > end or context.stop.wait(wait):
                raise MachineTrouble(str(error)) from error


def kept_work(folder: Path | None, training: Training) -> Work | None:
    """Returns the work that an earlier attempt has kept on this machine; None if there is none, or it is of another
    config or part of the training."""
    if folder is None:
        return None
    try:
        kept: Mapping[str, Any] = json.loads((folder / training.id / _END).read_text("utf-8"))
        if kept["fingerprint"] != _fingerprint(training):
            return None
        uploads = [Upload(**{**one, "file": folder / training.id / one["file"]}) for one in kept["uploads"]]
        end = RunEnd(**{**kept["end"], "outcome": AttemptOutcome(kept["end"]["outcome"]), "error": None})
        return Work(end, uploads, kept["epochs"]) if all(one.file.is_file() for one in uploads) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if not isinstance(error, FileNotFoundError):
            log.warning("what was kept of an earlier attempt cannot be read: %s", error)
        return None


def forget_kept(store: Store, folder: Path | None, done: str) -> None:
    """Removes the kept work of a training that is delivered, and of those that ended elsewhere or are gone."""
    if folder is None or not folder.is_dir():
        return
    folders = {path.name: path for path in folder.iterdir() if path.is_dir()}
    results = {id: path for path in folder.iterdir() if (id := results_file_training(path)) is not None}
    rows = store.rungs.rows_among([*folders, *results])
    useless = {id for id in (*folders, *results) if id == done or id not in rows or rows[id].status in _USELESS}
    for name, path in folders.items():
        if name.startswith(_PART):
            if time.time() - path.stat().st_mtime > _OLD_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
        elif name in useless:
            shutil.rmtree(path, ignore_errors=True)
    for id, path in results.items():
        if id in useless:
            path.unlink(missing_ok=True)


def _keep(context: AttemptContext, work: Work) -> bool:
    """Copies the files to where the next run of this machine finds them; False if that is not possible."""
    if context.undelivered is None:
        return False
    training = context.training
    target = context.undelivered / training.id
    part = context.undelivered / f"{_PART}{uuid.uuid4().hex}"
    if work.uploads and all(one.file.parent == target for one in work.uploads):
        return True
    try:
        part.mkdir(parents=True, mode=0o700)
        uploads = []
        for number, one in enumerate(work.uploads):
            shutil.copyfile(one.file, part / str(number))
            uploads.append({"artifact": one.artifact, "key": one.key, "file": str(number), "suffix": one.suffix})
        about = {"fingerprint": _fingerprint(training), "epochs": work.epochs}
        kept = {**about, "end": asdict(work.end), "uploads": uploads}
        (part / _END).write_text(json.dumps(kept), "utf-8")
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
    except OSError as error:
        log.warning("what was trained cannot be kept in %s: %s", target, error)
        shutil.rmtree(part, ignore_errors=True)
        return False
    log.info("what was trained is kept in %s", target)
    return True


def _fingerprint(training: Training) -> str:
    """Tells what the attempt was to do from what another one of this training is to do."""
    trial = training.trial
    part = None if trial is None else [trial.pause_at, len(trial.lineage or [])]
    return hashlib.sha256(json.dumps([training.config, part], sort_keys=True, default=str).encode()).hexdigest()
