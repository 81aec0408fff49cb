"""Validates a user's JSON; reports all problems at once, each with its path and a remedy."""

from __future__ import annotations

import json
import math
import typing
from collections.abc import Iterator
from typing import NoReturn, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config.yaml_text import YAML_SUFFIXES, parse_yaml
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.wording.input_problem import input_problem
from mitorch_service.wording.suggestion import did_you_mean, nearest_words

MAX_CONFIG_BYTES = 1_000_000  # a document may hold 16 MB in MongoDB; a config beyond 1 MB is a mistake
MAX_DEPTH = 50  # levels of nested objects and lists; MongoDB allows 100, including those around a config

_TOO_DEEP = f"is nested deeper than {MAX_DEPTH} levels; flatten it"
_SURROGATE = "contains half of a surrogate pair, which is not a character; remove it"

Model = TypeVar("Model", bound=BaseModel)


def parse_config(source: str, text: bytes) -> JsonValue:
    """Parses strict JSON in UTF-8, or YAML if the name `source` ends in .yaml or .yml. Raises InvalidInput, for syntax
    errors with line and column.

    Also rejects duplicate keys, and values that databases cannot store: nested too deeply, lone surrogates, numbers
    beyond 64 bits.
    """
    if len(text) > MAX_CONFIG_BYTES:
        size = f"is {len(text) / 1e6:.1f} MB; a config has at most {MAX_CONFIG_BYTES / 1e6:.0f} MB"
        raise InvalidInput(source, [Problem("", size)])
    if not text.strip():
        raise InvalidInput(source, [Problem("", "is empty; write a JSON object")])
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(source, [Problem("", f"is not UTF-8 text ({error.reason})")]) from error
    value = parse_yaml(source, decoded) if source.lower().endswith(YAML_SUFFIXES) else _parse_json(source, decoded)
    problems = list(not_storable(value))
    if problems:
        raise InvalidInput(source, problems)
    return value


def _parse_json(source: str, text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(
            text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        hint = "plain JSON has no comments, no trailing commas, and only double quotes"
        raise InvalidInput(source, [Problem(where, f"{error.msg} ({hint})")]) from error
    except RecursionError as error:
        raise InvalidInput(source, [Problem("", _TOO_DEEP)]) from error
    except ValueError as error:
        raise InvalidInput(source, [Problem("", str(error))]) from error
    return value


def parse_object(source: str, text: bytes) -> dict[str, JsonValue]:
    """Parses as `parse_config` does. Raises InvalidInput for anything but an object."""
    value = parse_config(source, text)
    if not isinstance(value, dict):
        kinds = {list: "a list", str: "a string", type(None): "null", bool: "true or false"}
        kind = kinds.get(type(value), "a number")
        raise InvalidInput(source, [Problem("", f"must be a JSON object {{…}}, not {kind}")])
    return value


def check(model: type[Model], data: object) -> tuple[Model | None, list[Problem]]:
    """Validates `data`; returns the model, or None with all problems."""
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, [_problem(model, detail) for detail in error.errors(include_url=False)]


def nearest(word: str, known: typing.Iterable[str]) -> str | None:
    """Returns the most similar known word, or None if none is similar."""
    return next(iter(nearest_words(word, known)), None)


def _problem(model: type[BaseModel], detail: ErrorDetails) -> Problem:
    location = list(detail["loc"])
    path = path_text(location)
    if detail["type"] == "extra_forbidden":
        return Problem(path, _unknown_key(model, location))
    if detail["type"] == "missing":
        return Problem(path, "is required")
    value = _shorten(detail["input"])
    if detail["type"] == "literal_error":
        allowed = [word.strip("' ") for word in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return Problem(
            path, f"{value} is not known; {did_you_mean(str(detail['input']), allowed)}known: {', '.join(allowed)}"
        )
    message = input_problem(detail)
    if detail["type"] in ("model_type", "model_attributes_type") and (known := _fields_at(model, location)):
        message += f" with the keys {', '.join(sorted(known))}"
    return Problem(path, f"{message} (it is {value})")


def _unknown_key(model: type[BaseModel], location: list[int | str]) -> str:
    known = _fields_at(model, location[:-1])
    return f"unknown key; {did_you_mean(str(location[-1]), known)}known: {', '.join(sorted(known))}"


def _fields_at(model: type[BaseModel], location: list[int | str]) -> list[str]:
    """Returns the field names of the model at `location` within `model`."""
    current: object = model
    for step in location:
        if isinstance(step, int):
            current = first_model(current)
        elif isinstance(current, type) and issubclass(current, BaseModel) and step in current.model_fields:
            current = first_model(current.model_fields[step].annotation)
    if isinstance(current, type) and issubclass(current, BaseModel):
        return list(current.model_fields)
    return []


def first_model(annotation: object) -> object:
    """Returns the model class inside ``X | None``, ``list[X]`` or ``Annotated[X, …]``."""
    if not typing.get_args(annotation):
        return annotation
    for argument in typing.get_args(annotation):
        found = first_model(argument)
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    return annotation


def path_text(location: typing.Sequence[int | str]) -> str:
    """Returns text such as ``augmentation.train[1].name``."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _shorten(value: object) -> str:
    text = mask_secrets(json.dumps(value, default=str, ensure_ascii=False))  # else half of one would be left
    return text if len(text) <= 80 else text[:77] + "..."


def not_storable(value: object) -> Iterator[Problem]:
    """Yields the values that JSON allows but databases cannot store."""
    return _not_storable(value, [])


def _not_storable(value: object, location: list[int | str]) -> Iterator[Problem]:
    if isinstance(value, dict | list):
        if len(location) >= MAX_DEPTH:
            yield Problem(path_text(location[:3]) + "…", _TOO_DEEP)
            return
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            wrong = _wrong_text(key) if isinstance(key, str) else None
            if wrong:
                yield Problem(path_text(location), f"the key {key!r} {wrong}")
            else:
                yield from _not_storable(item, [*location, key])
    elif isinstance(value, str) and (wrong := _wrong_text(value)):
        yield Problem(path_text(location), f"the text {value[:40]!r} {wrong}")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield Problem(path_text(location), f"{_shorten(value)} does not fit into a 64-bit integer")
    elif isinstance(value, float) and not math.isfinite(value):
        yield Problem(path_text(location), "does not fit into a 64-bit number; write a smaller one")


def _wrong_text(text: str) -> str | None:
    """NUL ends a text in arguments, paths and the keys of BSON."""
    if "\0" in text:
        return "contains the character NUL; remove it"
    return _SURROGATE if _has_lone_surrogate(text) else None


def _has_lone_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _unique_keys(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    seen: dict[str, JsonValue] = {}
    for key, value in pairs:
        if key in seen:
            raise ValueError(f"the key {key!r} appears twice in one object; remove one")
        seen[key] = value
    return seen


def _integer(text: str) -> int:
    if len(text) > 40:  # Python's own error for thousands of digits is not meant for users
        raise ValueError(f"{text[:20]}… does not fit into a 64-bit integer")
    return int(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number; write a finite number")
