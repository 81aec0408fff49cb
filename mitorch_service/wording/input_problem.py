"""Words the problems that pydantic finds, for people who do not know it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OBJECT = "must be an object {{…}}"
_WHOLE = "must be a whole number"
_LIST = "must be a list […]"
_TIME = "must be a time such as 2026-11-29T12:00:00Z"
_EMPTY = "must not be empty"
_WORDS = {  # type of the problem -> text, with the fields of its context
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": "does not fit into a 64-bit integer",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": 'must be a text in "quotes"',
    "list_type": _LIST,
    "tuple_type": _LIST,
    "none_required": "must be null",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "too_short": "must have {min_length} entries or more",
    "too_long": "must have {max_length} entries at most",
    "string_too_short": "must have {min_length} characters or more",
    "string_too_long": "must have {max_length} characters at most",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "missing": "is required",
    "extra_forbidden": "is an unknown key",
}


def input_problem(detail: Mapping[str, Any]) -> str:
    """Returns the problem in our words. `detail`: an entry of ``ValidationError.errors()``."""
    context = {name: _plain(value) for name, value in detail.get("ctx", {}).items()}
    if context.get("min_length") == 1:
        return _EMPTY
    words = _WORDS.get(detail["type"])
    if words is None:
        return str(detail["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return words.format_map(context)


def _plain(value: object) -> object:
    """A limit as people write it: 5, and not 5.0."""
    return f"{value:g}" if isinstance(value, float) else value
