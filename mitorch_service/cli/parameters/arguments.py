"""Values from the command line: config files, data sets, ages, secrets."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

from pydantic import JsonValue

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config.validation import MAX_CONFIG_BYTES, parse_object
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.durations import parse_age


def read_config(path: str) -> tuple[str, dict[str, JsonValue]]:
    """Reads the name and the object in a config file, JSON or YAML; ``-`` reads standard input. Raises InvalidInput."""
    name = "standard input" if path == "-" else path
    try:
        if path == "-":
            content = sys.stdin.buffer.read(MAX_CONFIG_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise InvalidInput(name, [Problem("", f"cannot be read: {error.strerror}")]) from error
    return name, parse_object(name, content)


def dataset_ref(argument: str, text: str) -> DatasetRef:
    """Parses NAME or NAME:VERSION. Raises InvalidInput naming the argument."""
    try:
        return DatasetRef.parse(text)
    except ValueError as error:
        raise InvalidInput(argument, [Problem(repr(text), str(error))]) from error


def age(argument: str, text: str) -> timedelta:
    """Parses an age such as ``180d``. Raises InvalidInput naming the argument."""
    try:
        return parse_age(text)
    except ValueError as error:
        raise InvalidInput(argument, [Problem(text, str(error))]) from error


def secret(argument: str, variable: str, remedy: str) -> str:
    """Reads an environment variable. Raises InvalidInput naming the argument if it is not set."""
    value = os.environ.get(variable)
    if not value:
        raise InvalidInput(argument, [Problem(variable, f"is not set: {remedy}")])
    return value
