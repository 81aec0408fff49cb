"""Keeps the code of a script before the script is queued."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from pydantic import JsonValue

from mitorch_service.errors import Problem
from mitorch_service.models.script import AnyConfig, CodeRecord


class CodeKeeper(ABC):
    """Checks configs (`submission.ConfigCheck`) and keeps the code of scripts."""

    @abstractmethod
    def __call__(self, config: AnyConfig | None, written: Mapping[str, JsonValue]) -> list[Problem]:
        """The problems of a config; `config` is None if its form is wrong, and then only `written` is checked."""

    @abstractmethod
    def keep(self, source: str) -> CodeRecord:
        """Keeps the code at `script.source`; the same code once. Raises ValueError with a remedy, or OSError, if it
        cannot be read, ArtifactError if it cannot be stored."""


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
    except (ValueError, OSError) as error:
        return config, [Problem("script.source", str(error))]
    return {**config, "script": {**script, "code": code.model_dump(mode="json")}}, []
