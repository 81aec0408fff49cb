"""The code of a script that is submitted: kept before the script is queued."""

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
        """What is wrong with the config; None where its form is, and there is only what was written."""

    @abstractmethod
    def keep(self, source: str) -> CodeRecord:
        """Keeps what `script.source` names; the same code once. Raises ValueError, saying what to do, or OSError where
        it cannot be read, ArtifactError where it cannot be kept."""


def with_code(config: dict[str, Any], keeper: object) -> tuple[dict[str, Any], list[Problem]]:
    """The config, checked before, with `script.code` in it where it has a `script.source`; or what is wrong."""
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
