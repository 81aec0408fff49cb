"""Turns the terms of a filter into tests of stored trainings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mitorch_service.errors import InvalidFilter
from mitorch_service.insights.where.document_values import text_of
from mitorch_service.insights.where.fields import Field, Kind
from mitorch_service.insights.where.name_pattern import compile_pattern
from mitorch_service.insights.where.resolution import Known, nothing_known, resolve_field
from mitorch_service.insights.where.terms import PatternTerm, Term, Value, Where
from mitorch_service.insights.where.value_tests import Bounds, ValueTest, time_bounds, value_tests, word_test
from mitorch_service.stores.requests import StoredDocument

FindJobs = Callable[[str], Sequence[str]]  # the ids of the jobs that a person names so

_HAS = "has"  # has:FIELD, whether a training has a value there


@dataclass(frozen=True)
class Condition:
    """One term, ready to test documents."""

    term: Term | PatternTerm
    fields: tuple[Field, ...]  # that it reads
    accepts: Callable[[StoredDocument], bool]
    field: Field | None = None  # that its values are compared with
    keys: tuple[str, ...] | None = None  # the values of which the field is one, where it is that simple
    bounds: Bounds | None = None  # of a time

    @property
    def is_curve(self) -> bool:
        """Whether the recorded epochs must be read."""
        return any(field.curve is not None for field in self.fields)


def compile_where(
    where: Where, now: datetime, find_jobs: FindJobs, known: Known = nothing_known
) -> tuple[Condition, ...]:
    """Returns a condition for each term. Raises InvalidFilter; NotFound, AmbiguousId for a job."""
    return tuple(_condition(term, now, find_jobs, known) for term in where.terms)


def _condition(term: Term | PatternTerm, now: datetime, find_jobs: FindJobs, known: Known) -> Condition:
    if isinstance(term, PatternTerm):
        found = compile_pattern(term)
        name = resolve_field("name")
        return Condition(term, (name,), _signed(term, lambda d: found(text_of(d.get("name")) or "")))
    if term.field is None:
        tests = [word_test(value) for value in term.values]
        return Condition(term, (), _signed(term, lambda d: any(test(d) for test in tests)))
    if term.field == _HAS:
        return _has(term, now, known)
    field = _field(term, term.field, known)
    try:
        if field.kind == Kind.JOB:
            term = _with_job_ids(term, find_jobs)
        values, keys = value_tests(field, term.values, now)
    except ValueError as error:
        raise InvalidFilter(term.place.word, term.place.position, str(error)) from error
    read = field.read
    accepts = _signed(term, lambda d: _fits(values, read(d, now)))
    if term.negated:
        return Condition(term, (field,), accepts, field)
    timed = field.kind == Kind.TIME and len(term.values) == 1
    return Condition(term, (field,), accepts, field, keys, time_bounds(term.values[0], now) if timed else None)


def _field(term: Term, name: str, known: Known) -> Field:
    try:
        return resolve_field(name, known)
    except ValueError as error:
        problem = f'{error}; a colon that belongs to a name is written in "quotes"'
        raise InvalidFilter(term.place.word, term.place.position, problem) from error


def _has(term: Term, now: datetime, known: Known) -> Condition:
    fields = tuple(_field(term, value.text, known) for value in term.values)
    accepts = _signed(term, lambda d: any(field.read(d, now) not in (None, [], "") for field in fields))
    return Condition(term, fields, accepts)


def _with_job_ids(term: Term, find_jobs: FindJobs) -> Term:
    if any(not value.is_exact for value in term.values):
        raise ValueError("must be the id of a job, the beginning of one, or its whole name")
    ids = dict.fromkeys(id for value in term.values for id in find_jobs(value.text))
    return Term(term.field, tuple(Value((id,)) for id in ids), term.negated, term.place)


def _signed(term: Term | PatternTerm, accepts: Callable[[StoredDocument], bool]) -> Callable[[StoredDocument], bool]:
    return (lambda document: not accepts(document)) if term.negated else accepts


def _fits(tests: Sequence[ValueTest], value: object) -> bool:
    return any(test(value) for test in tests)
