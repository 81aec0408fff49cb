"""Reads an archive of pruned trainings and jobs, whatever has happened to it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mitorch_service.errors import BrokenDocument, InvalidInput, Problem
from mitorch_service.models.result import EpochResult
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ENDED, ENDED_JOBS
from mitorch_service.models.training import Training
from mitorch_service.operations.archives.archive import GZIP
from mitorch_service.operations.archives.typed_documents import typed
from mitorch_service.stores.verbs.trainings import Kind

_LONGEST = 1 << 28  # bytes of a line: a training of a million epochs
_CHUNK = 1 << 16  # bytes, packed
_UNPACKED = 1 << 20  # bytes at a time


@dataclass(frozen=True)
class Archived:
    """A line of an archive: documents as a store takes them."""

    kind: Kind
    id: str
    job_id: str | None  # whose trial or final training it is
    document: dict[str, Any]
    results: list[dict[str, Any]]


def read_archive(path: Path, *, again: bool = False) -> Iterator[Archived]:
    """Yields the lines in their order. One that a killed prune has left unfinished at the end is left out, with a
    warning: what it was about is still in the database. `again`: without the warning. Raises
    InvalidInput, naming the line, for anything else."""
    for number, line in _lines(path, again):
        try:
            yield _parse(json.loads(line))
        except (ValueError, TypeError, AttributeError, RecursionError, BrokenDocument) as error:
            raise _refused(path, f"line {number}", f"is not of an archive of micontrol prune ({error})") from error


def _lines(path: Path, again: bool) -> Iterator[tuple[int, bytes]]:
    number = 0
    begun: list[bytes] = []  # parts of a line
    size = 0  # of these
    try:
        with path.open("rb") as file:
            for text in _unpacked(file):
                *ends, rest = text.split(b"\n")
                for end in ends:
                    number += 1
                    yield number, b"".join((*begun, end))
                    begun, size = [], 0
                begun.append(rest)
                size += len(rest)
                if size > _LONGEST:
                    raise _refused(path, f"line {number + 1}", f"is longer than {_LONGEST / 1e6:.0f} MB")
            if size:
                raise EOFError
    except EOFError:
        if not again:
            _tell_cut(path, number)
    except zlib.error as error:
        is_other = not number and "incorrect header" in str(error)
        problem = "is not an archive of micontrol prune" if is_other else f"is damaged after line {number} ({error})"
        raise _refused(path, "", problem) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _refused(path, "", f"cannot be read: {reason}") from error


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    """Yields the content of all members, and of the beginning of one that is cut off. Raises EOFError after that."""
    unpacker, is_whole = zlib.decompressobj(GZIP), True
    while data := file.read(_CHUNK):
        while data:
            yield unpacker.decompress(data, _UNPACKED)
            data, is_whole = unpacker.unconsumed_tail or unpacker.unused_data, unpacker.eof
            if unpacker.eof:
                unpacker = zlib.decompressobj(GZIP)
    if not is_whole:
        raise EOFError


def _tell_cut(path: Path, number: int) -> None:
    import logging  # which takes 5 ms: not for every command

    logging.getLogger("mitorch").warning(
        "Warning: %s is cut off after line %d. A `micontrol prune` that was killed leaves it so, and what would follow "
        "is still in its database; if this is a copy, copy it again.",
        path,
        number,
    )


def _parse(line: object) -> Archived:
    if not isinstance(line, dict) or not isinstance(line.get("training", line.get("job")), dict):
        raise ValueError("it holds neither a training nor a job")
    if "job" in line:
        job = Job.from_document(line["job"])
        _check_ended(job.status, ENDED_JOBS)
        return Archived("job", job.id, None, typed(job, line["job"]), [])
    training = Training.from_document(line["training"])
    _check_ended(training.status, ENDED)
    results = [typed(EpochResult.from_document(result), result) for result in line.get("results", [])]
    for result in results:
        if not str(result.get("_id", "")).startswith(f"{training.id}:"):
            raise ValueError("a result is of another training")
    return Archived("training", training.id, training.belongs_to, typed(training, line["training"]), results)


def _check_ended(status: str, ended: tuple[str, ...]) -> None:
    if status not in ended:
        raise ValueError(f"it is {status}, which has not ended")


def _refused(path: Path, where: str, problem: str) -> InvalidInput:
    return InvalidInput(str(path), [Problem(where, problem)])
