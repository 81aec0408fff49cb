"""Suggests how the word of a filter goes on at which a person writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from mitorch_service.insights.details.values import masked
from mitorch_service.insights.tables.known_columns import SAMPLE, known_columns, known_names
from mitorch_service.insights.where.fields import FIELDS, Field, Kind
from mitorch_service.insights.where.grammar import MAX_LENGTH, format_value
from mitorch_service.insights.where.resolution import resolve_field
from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.tables import IndexRange

MOST = 12
_LISTED = 200  # searches whose names are looked at
_LONGEST = 80  # characters of a value that is suggested
_TIMES = (
    (">1h", "within the last hour"),
    (">1d", "within the last day"),
    (">7d", "within the last 7 days"),
    (">30d", "within the last 30 days"),
    ("<30d", "more than 30 days ago"),
)
_STATUSES = (("open", "not ended"), ("active", "queued or running"), ("ended", "any end"))


@dataclass(frozen=True)
class Suggestion:
    """A text that may stand in the place of the word, or of its last value."""

    text: str
    detail: str


@dataclass(frozen=True)
class Suggestions:
    """Texts that may stand between two positions of the filter, counted from 0."""

    start: int
    end: int
    items: Sequence[Suggestion]


def suggest(store: Store, text: str, position: int, now: datetime) -> Suggestions:
    """Suggests fields, or values of the field before the colon, for the word that ends at `position`. Values are those
    of the newest trainings."""
    text = text[:MAX_LENGTH]
    end = max(0, min(position, len(text)))
    start, colon, comma = _word(text, end)
    if colon is None:
        start += text[start : start + 1] == "-"
        return Suggestions(start, end, list(_fields(store, text[start:end])))
    start += text[start : start + 1] == "-"
    begin = comma if comma is not None else colon
    items = _values(store, text[start:colon], text[begin + 1 : end], now)
    return Suggestions(begin + 1, end, items)


def _word(text: str, end: int) -> tuple[int, int | None, int | None]:
    """The positions of the word, of its colon, and of its last comma behind that."""
    start, colon, comma, quoted = 0, None, None, False
    for at in range(end):
        character = text[at]
        if character == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif character.isspace():
            start, colon, comma = at + 1, None, None
        elif character == ":" and colon is None:
            colon = at
        elif character == "," and colon is not None:
            comma = at
    return start, colon, comma


def _fields(store: Store, part: str) -> Iterator[Suggestion]:
    if part.startswith(("/", '"')):
        return
    found = known_columns(store, part=part, limit=MOST)
    if "has".startswith(part.lower()) and part:
        yield Suggestion("has:", "trainings with a value in a field")
    for column in sorted(found.columns, key=lambda one: not one.name.lower().startswith(part.lower())):
        yield Suggestion(
            f"{format_value(column.name)}:", "" if column.name in FIELDS else f"in {column.rows} of {found.sampled}"
        )


def _values(store: Store, name: str, written: str, now: datetime) -> list[Suggestion]:
    part = written.strip('"').lower()
    if name == "has":
        columns = known_columns(store, part=part, limit=MOST).columns
        return [Suggestion(format_value(column.name), "") for column in columns]
    try:
        field = resolve_field(name.replace('"', ""), known_names(store))
    except ValueError:
        return []
    if field.kind == Kind.TIME:
        return [Suggestion(value, detail) for value, detail in _TIMES if value.startswith(written)]
    found = [one for one in _all_values(store, field, now) if part in one[0].lower() and len(one[0]) <= _LONGEST]
    found.sort(key=lambda one: not one[0].lower().startswith(part))
    return [Suggestion(format_value(value), detail) for value, detail in found[:MOST]]


def _all_values(store: Store, field: Field, now: datetime) -> Iterable[tuple[str, str]]:
    if field.kind == Kind.STATUS:
        return [*((status.value, "") for status in TrainingStatus), *_STATUSES]
    if field.kind == Kind.DATASET:
        listed = [dataset.ref for dataset in store.datasets.list_datasets().items]
        return dict.fromkeys([(ref.name, "any version") for ref in listed] + [(str(ref), "") for ref in listed])
    if field.kind == Kind.JOB:
        return dict.fromkeys((job.name or job.id, job.status.value) for job in store.jobs.list_jobs(_LISTED).items)
    if field.kind in (Kind.ID, Kind.NUMBER):
        return ()
    return _sampled(store, field, now)


def _sampled(store: Store, field: Field, now: datetime) -> Iterable[tuple[str, str]]:
    """The values of the newest trainings, the most frequent first."""
    counts: Counter[str] = Counter()
    documents = store.tables.rows(IndexRange(), True, SAMPLE, without=("error", "artifacts"))
    for document in documents:
        value = masked(field.read(document, now))
        values = value if isinstance(value, list) else [] if value is None else [value]
        counts.update({str(one).lower() if isinstance(one, bool) else str(one) for one in values})
    return [(value, f"{n} of the newest {len(documents)}") for value, n in counts.most_common()]
