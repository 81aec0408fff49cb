"""Reads the messages of the queue: JSON objects of VoTT-train, or of VoTT-web's own producer."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from pydantic import JsonValue

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.interop.vott.web.web_address import BadAddress, WebAddress, web_address
from mitorch_service.models.config.validation import not_storable

MAX_BYTES = 100_000
SOURCE = "the message"  # how problems call it
PLUGIN = ("plugin_name", "plugin")  # the name in VoTT-train's description, and in its code
_NAMESPACE = uuid.UUID("0b2f6c0e-3a0c-5d0e-9d5f-5c2f0a7f6c11")
_WEB_KEYS = ("projectId", "requestId", "url")  # of VoTT-web (training-request-service.js)
_SHOWN = 60  # characters


@dataclass(frozen=True)
class TrainingMessage:
    """A message whose form is right."""

    values: Mapping[str, JsonValue]  # every key, as it came
    plugin: str | None  # None: the message names none
    annotations: WebAddress | None
    status: WebAddress | None
    tags: tuple[str, ...] = ()


def training_id(queue: str, message_id: str, body: bytes) -> str:
    """Returns the id of the training that a message becomes: the same however often it is delivered. The content is
    part of it, because some producers number their messages from 1 each day."""
    digest = uuid.uuid5(
        _NAMESPACE, body.decode("utf-8", "surrogateescape").encode("utf-8", "backslashreplace").decode()
    )
    return str(uuid.uuid5(_NAMESPACE, f"{queue}\0{message_id}\0{digest}"))


def read_message(body: bytes) -> TrainingMessage:
    """Parses a message: JSON, or JSON in Base64, as many libraries and the portal write it. Raises InvalidInput with
    every problem."""
    values = _parsed(body)
    tags: tuple[str, ...] = ()
    if "url" in values and not values.keys() & {"annotations", *PLUGIN}:
        values, tags = _of_vott_web(values)
    problems = [*_name_problems(values), *not_storable(values)]
    annotations, status = (_address(values, key, problems) for key in ("annotations", "status"))
    _address(values, "model", problems, ("s3",))
    if "plugin_url" in values:
        problem = "code is not fetched from addresses: put the plugin's folder below MITORCH_VOTT_PLUGINS"
        problems.append(Problem("plugin_url", problem))
    plugin = _plugin(values, problems)
    if problems:
        raise InvalidInput(SOURCE, problems)
    return TrainingMessage(values, plugin, annotations, status, tags)


def status_address(body: bytes) -> str | None:
    """Returns where the sender of a message wants to be told, even if nothing else of the message is right."""
    try:
        status = _parsed(body).get("status")
        return web_address(status).whole if isinstance(status, str) else None
    except (InvalidInput, BadAddress):
        return None


def _parsed(body: bytes) -> Mapping[str, JsonValue]:
    if len(body) > MAX_BYTES:
        raise InvalidInput(SOURCE, [Problem("", f"has {len(body):,} bytes; at most {MAX_BYTES:,} are read")])
    for text in _readings(body):
        try:
            value = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            _check_characters(text, value)
            return value
        raise InvalidInput(SOURCE, [Problem("", f"is {_kind(value)}, not an object {{…}}")])
    shown = body[:_SHOWN].decode("utf-8", "replace")
    raise InvalidInput(SOURCE, [Problem("", f"is not JSON: it begins with {shown!r}")])


def _check_characters(text: str, value: object) -> None:
    """Raises InvalidInput for halves of characters, which JSON can write and nothing can hold."""
    if "\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            problem = "contains half of a surrogate pair, which is not a character: remove it"
            raise InvalidInput(SOURCE, [Problem("", problem)]) from error


def _readings(body: bytes) -> Iterator[str]:
    with suppress(UnicodeDecodeError):
        yield body.decode("utf-8-sig")
    with suppress(UnicodeDecodeError, binascii.Error):
        yield base64.b64decode(body.strip(), validate=True).decode("utf-8-sig")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _kind(value: object) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _of_vott_web(values: Mapping[str, JsonValue]) -> tuple[Mapping[str, JsonValue], tuple[str, ...]]:
    """VoTT-web's own message {projectId, requestId, url}: the address of the annotations, and what asked for it."""
    named = {"project": values.get("projectId"), "request": values.get("requestId")}
    tags = tuple(f"{key}={value}" for key, value in named.items() if isinstance(value, str) and value)
    others = {key: value for key, value in values.items() if key not in _WEB_KEYS}
    return {**others, "annotations": values["url"]}, tags


def _name_problems(values: Mapping[str, JsonValue]) -> Iterator[Problem]:
    for key in values:
        if not key or key.startswith("-") or not key.isprintable() or set(key) & set(" =\"'"):
            yield Problem(repr(key)[:_SHOWN], "cannot be the name of an argument: use letters, digits, _ . and -")


def _address(
    values: Mapping[str, JsonValue], key: str, problems: list[Problem], others: tuple[str, ...] = ()
) -> WebAddress | None:
    """The address under a key; adds to `problems` what is wrong with it. `others`: further schemes."""
    value = values.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        problems.append(Problem(key, f"must be the text of an address (it is {_kind(value)})"))
        return None
    if value.partition("://")[0].lower() in others:
        return None
    try:
        return web_address(value)
    except BadAddress as error:
        problems.append(Problem(key, str(error)))
        return None


def _plugin(values: Mapping[str, JsonValue], problems: list[Problem]) -> str | None:
    named = {key: values[key] for key in PLUGIN if values.get(key) is not None}
    names = [value for value in named.values() if isinstance(value, str) and value]
    if len(names) < len(named):
        problems.append(Problem(next(iter(named)), "must be the name of a plugin"))
    elif len(set(names)) > 1:
        problems.append(Problem("plugin_name", f"is {names[0]!r}, while plugin is {names[1]!r}: write one of them"))
    return names[0] if names else None
