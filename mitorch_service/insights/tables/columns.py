"""The columns of a table: fields chosen by name."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.insights.details.values import masked
from mitorch_service.insights.where.fields import Field, Kind
from mitorch_service.insights.where.resolution import Known, nothing_known, resolve_field
from mitorch_service.stores.requests import StoredDocument

DEFAULT_COLUMNS = (
    "status",
    "name",
    "epoch",
    "max_epochs",
    "val_loss",
    "tag",
    "dataset",
    "job",
    "priority",
    "by",
    "since",
)
MAX_COLUMNS = 200


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str  # whole, such as config.lr_scheduler.base_lr
    heading: str  # as it was asked for
    kind: Kind
    field: Field

    def cell(self, document: StoredDocument, now: datetime) -> object:
        """The value of a row, credentials masked: a text, number, aware time, list, object, true, false or None."""
        return masked(self.field.read(document, now))


def choose_columns(names: Sequence[str], known: Known = nothing_known) -> tuple[Column, ...]:
    """Returns the columns, each once. Raises InvalidInput for a name that is unknown, or too many."""
    if len(names) > MAX_COLUMNS:
        raise InvalidInput("columns", [Problem(f"{len(names)} names", f"choose {MAX_COLUMNS} at most")])
    columns: dict[str, Column] = {}
    problems = []
    for name in names:
        try:
            field = resolve_field(name, known)
            columns.setdefault(field.name, Column(field.name, name, field.kind, field))
        except ValueError as error:
            problems.append(Problem(name, str(error)))
    if problems:
        raise InvalidInput("columns", problems)
    return tuple(columns.values())


def parse_columns(text: str | None, known: Known = nothing_known) -> tuple[Column, ...]:
    """Parses ``status,name,config.model.name``; a name with a comma stands in quotes. The default columns without a
    text. Raises InvalidInput."""
    try:
        names = next(csv.reader([text], skipinitialspace=True), []) if text else DEFAULT_COLUMNS
    except csv.Error as error:
        raise InvalidInput("columns", [Problem(repr(text)[:80], "must be one line of names with commas")]) from error
    return choose_columns([name.strip() for name in names if name.strip()], known)
