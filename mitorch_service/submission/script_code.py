"""The contract of checks beyond a config's form, which also keep the code of scripts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import JsonValue

from mitorch_service.errors import Problem
from mitorch_service.models.config.script import AnyConfig, CodeRecord

# Takes the checked config (None if its form is wrong) and the one that was written; returns the problems.
ConfigCheck = Callable[[AnyConfig | None, Mapping[str, JsonValue]], list[Problem]]


class CodeKeeper(ABC):
    """Checks configs (a `ConfigCheck`) and keeps the code of scripts."""

    @abstractmethod
    def __call__(self, config: AnyConfig | None, written: Mapping[str, JsonValue]) -> list[Problem]:
        """The problems of a config; `config` is None if its form is wrong, and then only `written` is checked."""

    @abstractmethod
    def relative_to(self, folder: Path) -> CodeKeeper:
        """The same, for a config whose paths are relative to the folder."""

    @abstractmethod
    def keep(self, source: str) -> CodeRecord:
        """Keeps the code at `script.source`; the same code once. Raises ValueError with a remedy, or OSError, if it
        cannot be read, ArtifactError if it cannot be stored."""


def check_in(folder: Path, check: ConfigCheck) -> ConfigCheck:
    """The check of a config whose paths are relative to the folder."""
    return check.relative_to(folder) if isinstance(check, CodeKeeper) else check


def with_code(config: dict[str, JsonValue], keeper: object) -> tuple[dict[str, JsonValue], list[Problem]]:
    """Adds `script.code` to a checked config that has a `script.source`; returns the config and the problems."""
    script = config.get("script")
    if not isinstance(script, dict) or script.get("source") is None or script.get("code") is not None:
        return config, []
    source = script["source"]
    if not isinstance(source, str):
        return config, [Problem("script.source", "cannot be searched: search over a parameter of the script")]
    if not isinstance(keeper, CodeKeeper):
        return config, [Problem("script.source", "cannot be stored from here: submit the script with misubmit")]
    try:
        code = keeper.keep(source)
    except ValueError as error:
        return config, [Problem("script.source", str(error))]
    except OSError as error:
        return config, [Problem("script.source", f"{source} cannot be read: {error.strerror or error}")]
    return {**config, "script": {**script, "code": code.model_dump(mode="json")}}, []
