"""The command and the environment of a script's process. Pure."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mitorch_service.models.config.script import filled, is_secret
from mitorch_service.models.secrets import mask_secrets

_PARAMETERS = "{parameters}"
_OURS = ("MITORCH_", "AZUREML_RUN_TOKEN")  # includes addresses and credentials of database, storage and vault
_SHORTEST_SECRET = 4  # a shorter value would mask half of the log


def script_command(command: Sequence[str], parameters: Mapping[str, object], paths: Mapping[str, Path]) -> list[str]:
    """The words with their placeholders filled in; `paths` has a path for each placeholder. Raises ValueError for a
    placeholder without one."""
    words: list[str] = []
    for word in command:
        if word == _PARAMETERS:
            words += parameter_arguments(parameters)
        else:
            words.append(_filled(word, paths))
    return words


def parameter_arguments(parameters: Mapping[str, object], prefix: str = "") -> list[str]:
    """``--name=value`` for each parameter, in one word, so that a value may begin with a dash: text as it is, anything
    else as JSON. An object's members become ``--name.member``; null is left out."""
    words: list[str] = []
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            words += parameter_arguments(value, f"{prefix}{name}.")
        elif value is not None:
            words.append(f"--{prefix}{name}={value if isinstance(value, str) else json.dumps(value)}")
    return words


def script_environment(
    inherited: Mapping[str, str], own: Mapping[str, str], given: Mapping[str, str], python: Path
) -> dict[str, str]:
    """The `inherited` variables without our settings, overridden by the user's `own`, and those by the run's `given`.
    The folder of `python`, the run's interpreter, comes first in PATH."""
    kept = {name: value for name, value in inherited.items() if not name.startswith(_OURS)}
    path = os.pathsep.join(filter(None, [str(python.parent), own.get("PATH", kept.get("PATH", ""))]))
    return {**kept, "PYTHONUNBUFFERED": "1", **own, "PATH": path, **given}


class Mask:
    """Hides credentials in a script's output: texts that look like one, and the values of secret variables."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        secrets = [value for name, value in environment.items() if is_secret(name) and len(value) >= _SHORTEST_SECRET]
        longest_first = sorted(secrets, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if secrets else None

    def __call__(self, text: str) -> str:
        return mask_secrets(text if self._secrets is None else self._secrets.sub("***", text))


def _filled(word: str, paths: Mapping[str, Path]) -> str:
    def path(name: str) -> str:
        if name not in paths:
            raise ValueError(f"script.command: {{{name}}} is a file of the data set, which has none; remove it")
        return str(paths[name])

    return filled(word, path)
