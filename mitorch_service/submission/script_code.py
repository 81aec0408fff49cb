"""Stores the code of a script before the script is queued."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from mitorch_service.errors import Problem
from mitorch_service.models.script import AnyConfig, CodeRecord


class CodeKeeper(ABC):
    """A check of configs (`submission.ConfigCheck`) that also keeps the code of those that are scripts."""

    @abstractmethod
    def __call__(self, config: AnyConfig | None, written: Mapping[str, Any]) -> list[Problem]:
        """Returns the problems of a config: the validated one (None if its form is wrong) and the written one."""

    @abstractmethod
    def keep(self, source: str) -> CodeRecord:
        """Stores the code at `script.source`, the same code once. Raises ValueError, with a remedy, or OSError if it
        cannot be read, ArtifactError if it cannot be stored."""


def with_code(config: dict[str, Any], keeper: object) -> tuple[dict[str, Any], list[Problem]]:
    """Returns the checked config, with `script.code` added if it has a `script.source`, and the problems of that."""
    script = config.get("script")
    if not isinstance(script, dict) or script.get("source") is None or script.get("code") is not None:
        return config, []
    source = script["source"]
    if not isinstance(source, str):
        return config, [Problem("script.source", "cannot be searched: search over a parameter of the script")]
    if not isinstance(keeper, CodeKeeper):
        return config, [Problem("script.source", "is not kept here: submit the script with misubmit")]
    try:
        code = keeper.keep(source)
    except (ValueError, OSError) as error:
        return config, [Problem("script.source", str(error))]
    return {**config, "script": {**script, "code": code.model_dump(mode="json")}}, []
