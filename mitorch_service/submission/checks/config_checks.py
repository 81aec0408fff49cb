"""Checks a submitted config beyond its form: names that the engine knows, resources that a cluster has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from pathlib import Path

from pydantic import JsonValue

from mitorch_service.errors import Problem
from mitorch_service.models.config.script import AnyConfig, CodeRecord, is_script
from mitorch_service.settings import Settings
from mitorch_service.submission.checks.check_resources import resource_check
from mitorch_service.submission.script_code import CodeKeeper
from mitorch_service.training.loop.config_check import check_names


class ConfigChecks(CodeKeeper):
    """Checks names and resources, and keeps the code of scripts."""

    def __init__(self, settings: Settings, folder: Path, keep_code: Callable[[Path], CodeRecord]) -> None:
        """`folder`: a script's `source` is relative to it."""
        self._check_resources = resource_check(settings)
        self._folder = folder
        self._keep_code = keep_code
        self._records: dict[Path, CodeRecord] = {}  # a file of a million lines repeats the same source

    def __call__(self, config: AnyConfig | None, written: Mapping[str, JsonValue]) -> list[Problem]:
        names = [] if is_script(written) else check_names(written)
        return names + self._check_resources(config, written)

    def relative_to(self, folder: Path) -> ConfigChecks:
        other = copy(self)
        other._folder = folder
        return other

    def keep(self, source: str) -> CodeRecord:
        try:
            path = self._folder / Path(source).expanduser()
        except RuntimeError as error:
            raise ValueError(f"{source}: there is no such user on this machine; write the whole path") from error
        if path not in self._records:
            self._records[path] = self._keep_code(path)
        return self._records[path]
