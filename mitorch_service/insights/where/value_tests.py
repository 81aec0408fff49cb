"""Tests whether a field of a training fits the values of a term, by the kind of the field."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from mitorch_service.insights.where.document_values import texts_of
from mitorch_service.insights.where.fields import Field, Kind
from mitorch_service.insights.where.terms import Value
from mitorch_service.insights.where.times import parse_time
from mitorch_service.models.status import ACTIVE, ENDED, OPEN, TrainingStatus
from mitorch_service.stores.requests import StoredDocument
from mitorch_service.wording.suggestion import did_you_mean

Bounds = tuple[datetime | None, datetime | None]  # the first that fits, and the first behind; None: without end
ValueTest = Callable[[object], bool]

STATUS_GROUPS: Mapping[str, tuple[TrainingStatus, ...]] = {"open": OPEN, "active": ACTIVE, "ended": ENDED}
_STATUSES = tuple(status.value for status in TrainingStatus)
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def value_tests(field: Field, values: Sequence[Value], now: datetime) -> tuple[list[ValueTest], tuple[str, ...] | None]:
    """The tests of the values, and the values themselves where only equality with texts is asked for."""
    if field.kind == Kind.STATUS:
        statuses = tuple(dict.fromkeys(status for value in values for status in _statuses(value)))
        return [lambda value: value in statuses], statuses
    exact = all(value.is_exact for value in values)
    keys = tuple(dict.fromkeys(value.text for value in values)) if exact else None
    if field.kind == Kind.TAG and keys is not None and not all("=" in key for key in keys):
        keys = None  # of any value
    if field.kind == Kind.DATASET and keys is not None:
        keys = tuple(dict.fromkeys(_dataset_name(key) for key in keys))
    makers = {
        Kind.NUMBER: _number_test,
        Kind.ANY: _any_test,
        Kind.ID: _id_test,
        Kind.TAG: _tag_test,
        Kind.DATASET: _dataset_test,
        Kind.WORDS: _part_test,
    }
    if field.kind == Kind.TIME:
        return [_time_test(value, now) for value in values], None
    return [makers.get(field.kind, _text_test)(value) for value in values], keys


def _statuses(value: Value) -> tuple[str, ...]:
    if not value.is_exact:
        raise ValueError("a status has no order and no wildcards: write one or several, such as status:new,running")
    known = [*_STATUSES, *STATUS_GROUPS]
    if value.text not in known:
        raise ValueError(
            f"{value.text!r} is no status; {did_you_mean(value.text, known)}known: {', '.join(_STATUSES)}; "
            f"open, active and ended stand for several"
        )
    return tuple(status.value for status in STATUS_GROUPS.get(value.text, ())) or (value.text,)


def _number_test(value: Value) -> ValueTest:
    wanted = _number(value)
    if wanted is None:
        raise ValueError(f"{value.text!r} is no number: write one, such as 10, 0.3 or 1e-4")
    compare = _COMPARE[value.operator]
    return lambda found: isinstance(found, int | float) and compare(found, wanted)


def _number(value: Value) -> float | None:
    try:
        return float(value.text) if len(value.parts) == 1 else None
    except ValueError:
        return None


def _time_test(value: Value, now: datetime) -> ValueTest:
    low, high = time_bounds(value, now)
    return lambda found: (
        isinstance(found, datetime) and (low is None or found >= low) and (high is None or found < high)
    )


def time_bounds(value: Value, now: datetime) -> Bounds:
    """The first time that fits, and the first one behind those that fit. Raises ValueError."""
    if len(value.parts) > 1:
        raise ValueError("a time has no wildcards: write created:>2026-11-01")
    try:
        span = parse_time(value.text, now)
    except ValueError:
        remedy = "write a day (2026-11-01), a time (2026-11-01T12:00, UTC) or how long ago (12h, 7d, 2w)"
        raise ValueError(f"{value.text!r} is no time: {remedy}") from None
    if value.operator == "=" and span.begin == span.end:
        raise ValueError(f"a training is hardly that old to the moment: write >{value.text} (since then) or <")
    bounds: Mapping[str, Bounds] = {
        "=": (span.begin, span.end),
        "<": (None, span.begin),
        "<=": (None, span.end),
        ">": (span.end, None),
        ">=": (span.begin, None),
    }
    return bounds[value.operator]


def _any_test(value: Value) -> ValueTest:
    if value.operator != "=":
        compares = _number_test(value)
        return lambda found: not isinstance(found, bool) and compares(found)
    number, same = _number(value), _matcher(value)

    def fits(found: object) -> bool:
        if isinstance(found, bool):
            return same("true" if found else "false")
        if isinstance(found, int | float):
            return found == number if number is not None else same(str(found))
        if isinstance(found, list):
            return any(fits(item) for item in found)
        return isinstance(found, str) and same(found)

    return fits


def _text_test(value: Value) -> ValueTest:
    _refuse_order(value)
    same = _matcher(value)
    return lambda found: isinstance(found, str) and same(found)


def _part_test(value: Value) -> ValueTest:
    _refuse_order(value)
    contains = _matcher(Value(("", *_lower(value).parts, "")))
    return lambda found: isinstance(found, str) and contains(found.lower())


def _id_test(value: Value) -> ValueTest:
    _refuse_order(value)
    begins = _matcher(Value((*_lower(value).parts, "")))
    return lambda found: isinstance(found, str) and begins(found)


def _tag_test(value: Value) -> ValueTest:
    _refuse_order(value)
    same = _matcher(value)
    if len(value.parts) == 1 and "=" not in value.text:
        return lambda found: any(tag.partition("=")[0] == value.text for tag in texts_of(found))
    return lambda found: any(same(tag) for tag in texts_of(found))


def _dataset_test(value: Value) -> ValueTest:
    _refuse_order(value)
    same = _matcher(value)
    return lambda found: isinstance(found, str) and (same(found) or same(_dataset_name(found)))


def _dataset_name(text: str) -> str:
    name, _, version = text.rpartition(":")
    return name if name and version.isdecimal() else text


def word_test(value: Value) -> Callable[[StoredDocument], bool]:
    """A bare word: the beginning of the id, a part of the name, a tag, or the key or value of one."""
    begins, contains, same = _id_test(value), _part_test(value), _matcher(_lower(value))

    def fits(document: StoredDocument) -> bool:
        if contains(document.get("name")) or begins(document.get("_id")):
            return True
        return any(
            same(part) for tag in texts_of(document.get("tags")) for part in (tag.lower(), *tag.lower().split("=", 1))
        )

    return fits


def _refuse_order(value: Value) -> None:
    if value.operator != "=":
        raise ValueError(f"is a text, which {value.operator} does not compare: write the text, with * for any part")


def _lower(value: Value) -> Value:
    return Value(tuple(part.lower() for part in value.parts))


def _matcher(value: Value) -> Callable[[str], bool]:
    """Whether a whole text fits. One pass over it: each literal is looked for behind the one before."""
    if len(value.parts) == 1:
        wanted = value.parts[0]
        return lambda text: text == wanted
    first, *middle, last = value.parts

    def fits(text: str) -> bool:
        if not text.startswith(first) or len(text) < len(first) + len(last):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            at = text.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return text.endswith(last)

    return fits
