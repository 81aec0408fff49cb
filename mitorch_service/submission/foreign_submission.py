"""Checks what documents of other programs ask for as if it had been submitted here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from pydantic import JsonValue

from mitorch_service.errors import Problem
from mitorch_service.models.config.script import AnyConfig
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Training
from mitorch_service.submission.lookups import Lookups
from mitorch_service.submission.script_code import ConfigCheck
from mitorch_service.submission.submission import Options, check_submission


class Asked(Protocol):
    """A config file and what options would say (`interop.mitorch.adoption.ForeignSubmission`)."""

    @property
    def id(self) -> str: ...
    @property
    def file(self) -> dict[str, Any]: ...
    @property
    def dataset(self) -> DatasetRef | None: ...
    @property
    def priority(self) -> int: ...
    @property
    def name(self) -> str | None: ...
    @property
    def tags(self) -> tuple[str, ...]: ...
    @property
    def submitted_by(self) -> str | None: ...
    @property
    def created_at(self) -> datetime: ...


def build_foreign(lookups: Lookups, check: ConfigCheck, asked: Asked) -> Training | Job:
    """Returns the document to store under its id, as of the time when it was created. No code is kept: the files of a
    script are on its owner's machine, not on that of a pass. Raises InvalidInput, StoreUnavailable."""

    def check_only(config: AnyConfig | None, written: Mapping[str, JsonValue]) -> list[Problem]:
        return check(config, written)

    options = Options(asked.priority, asked.dataset, asked.name, asked.tags, asked.submitted_by)
    submission = check_submission(lookups, asked.id, asked.file, asked.dataset, check_only)
    return submission.to_document(asked.id, options, asked.created_at)
