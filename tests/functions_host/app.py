"""A folder with a `function_app.py`: its functions by the decorators' bindings, and how the host runs one."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.functions_host.output import say

TIMED_OUT = 3  # what the process ends with when a function takes longer than it may


@dataclass(frozen=True)
class Function:
    """One function of the app."""

    name: str
    bindings: list[dict[str, Any]]  # %SETTINGS% replaced
    call: Callable[..., Any]

    @property
    def trigger(self) -> str:
        return str(self.bindings[0]["type"])


class FunctionApp:
    """The functions of an app, and how long each may run."""

    def __init__(self, functions: Mapping[str, Function], seconds: float) -> None:
        self.functions, self.seconds = functions, seconds

    def invoke(self, function: Function, argument: Any, **told: Any) -> Any:
        """Calls it as the host does: what it raises is logged, and goes no further; one that takes too long is killed
        with the whole process. Returns its result, or None if it has failed."""
        say("begins", function=function.name, **told)
        started = time.monotonic()
        watch = threading.Timer(self.seconds, self._time_out, [function.name])
        watch.daemon = True
        watch.start()
        try:
            result, error = function.call(argument), None
        except Exception as raised:  # noqa: BLE001 - as the host does
            result, error = None, "".join(traceback.format_exception(raised))
        finally:
            watch.cancel()
        say("ends", function=function.name, ok=error is None, error=error, seconds=time.monotonic() - started)
        return result

    def _time_out(self, name: str) -> None:
        say("timed out", function=name, seconds=self.seconds)
        os._exit(TIMED_OUT)


def load(folder: Path, settings: Mapping[str, str]) -> FunctionApp:
    """Imports the app and reads its decorators. Raises KeyError for a %SETTING% that is not set."""
    sys.path.insert(0, str(folder))
    found = importlib.import_module("function_app").app.get_functions()
    functions = [
        Function(
            function.get_function_name(),
            [_binding(binding, settings) for binding in function.get_bindings_dict()["bindings"]],
            function.get_user_function(),
        )
        for function in found
    ]
    host = json.loads((folder / "host.json").read_text("utf-8"))
    limit = settings.get("AzureFunctionsJobHost__functionTimeout") or host["functionTimeout"]
    return FunctionApp({function.name: function for function in functions}, _seconds(limit))


def _binding(binding: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    return {name: _resolved(value, settings) for name, value in binding.items()}


def _resolved(value: Any, settings: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_resolved(one, settings) for one in value]
    text = getattr(value, "value", value)  # of an enum
    return re.sub(r"%(\w+)%", lambda match: settings[match[1]], text) if isinstance(text, str) else text


def _seconds(limit: str) -> float:
    hours, minutes, seconds = map(int, limit.split(":"))
    return hours * 3600.0 + minutes * 60 + seconds
