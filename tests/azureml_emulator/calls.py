"""Calls of functions over standard input and output: one line of JSON each way."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any


def serve(functions: Mapping[str, Callable[..., Any]]) -> None:
    """Answers until there are no more calls. What the functions print goes to standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            answer = {"value": functions[name](**arguments)}
        except Exception as error:  # noqa: BLE001  # whatever the SDK raises is what the test asks for
            answer = {"error": type(error).__name__, "message": _message(error)}
        print(json.dumps(answer, default=str), file=answers, flush=True)


def _message(error: Exception) -> str:
    """The words of an error; those of the first SDK that come from a document without details have none."""
    try:
        return str(error)
    except TypeError:
        return "this error cannot be printed"
