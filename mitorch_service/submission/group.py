"""Submits several documents of one file: all are checked before the first is written.

A repeat after an interruption completes them. The ids make that safe: they follow from the file's content, the options
and a round, and the store adds no id twice. Nothing is kept on this machine. (A document that was deleted meanwhile is
queued again by a repeat.)
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import JsonValue

from mitorch_service.errors import BrokenDocument, InvalidInput, NotFound, Problem
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.submission.bulk import submission_key
from mitorch_service.submission.lookups import Lookups
from mitorch_service.submission.script_code import ConfigCheck
from mitorch_service.submission.submission import Options, Submission, check_submission, submit

_IDS = uuid.UUID("0f6b7d0a-8f0c-5b0e-9a55-6f1c1d5e7c42")


@dataclass(frozen=True)
class Group:
    """The documents of one file by name, and those of them that are in the database already."""

    documents: dict[str, Training | Job]
    present: frozenset[str] = frozenset()  # names

    @property
    def is_queued(self) -> bool:
        """Whether all of them are in the database."""
        return len(self.present) == len(self.documents)


def check_group(
    lookups: Lookups,
    source: str,
    files: Mapping[str, Mapping[str, JsonValue]],
    options: Options,
    extra_check: ConfigCheck,
) -> dict[str, Submission]:
    """Checks each file. Raises InvalidInput with the problems of all, each under the file's name."""
    problems: list[Problem] = []
    found: dict[str, Submission] = {}
    for name, data in files.items():
        try:
            found[name] = check_submission(lookups, source, data, options.dataset, extra_check)
        except InvalidInput as error:
            problems += [p if p.path == "dataset" else Problem(f"{name}: {p.path}", p.message) for p in error.problems]
    if problems:
        raise InvalidInput(source, list(dict.fromkeys(problems)))
    return found


def build_group(
    store: Store,
    data: Mapping[str, JsonValue],
    submissions: Mapping[str, Submission],
    options: Options,
    now: datetime,
    again: bool,
    tag: str,
) -> Group:
    """Builds the documents of the file `data`, each tagged with ``tag=<its name>``: those of the round that is not
    complete, or else of the last one; with `again` of the next."""
    content = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    key = submission_key(content, options)
    round = 1
    last = _round(store, key, round, submissions, options, now, tag)
    while last.is_queued:
        round += 1
        following = _round(store, key, round, submissions, options, now, tag)
        if not following.present:
            return following if again else last
        last = following
    return last


def submit_group(store: Store, group: Group) -> int:
    """Queues the documents that are not in the database yet; returns how many."""
    missing = [document for name, document in group.documents.items() if name not in group.present]
    for document in missing:
        submit(store, document)
    return len(missing)


def _round(
    store: Store,
    key: str,
    round: int,
    submissions: Mapping[str, Submission],
    options: Options,
    now: datetime,
    tag: str,
) -> Group:
    documents = {}
    for name, submission in submissions.items():
        tagged = replace(options, tags=(*options.tags, f"{tag}={name}"))
        documents[name] = submission.to_document(str(uuid.uuid5(_IDS, f"{key} {round} {name}")), tagged, now)
    return Group(documents, frozenset(name for name, document in documents.items() if _is_there(store, document)))


def _is_there(store: Store, document: Training | Job) -> bool:
    get = store.jobs.get_job if isinstance(document, Job) else store.trainings.get_training
    try:
        return get(document.id) is not None
    except NotFound:
        return False
    except BrokenDocument:
        return True
