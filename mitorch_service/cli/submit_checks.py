"""The checks of misubmit, which keep the code of scripts as well."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mitorch_service.errors import Problem
from mitorch_service.models.script import AnyConfig, CodeRecord, is_script
from mitorch_service.settings import Settings
from mitorch_service.submission.script_code import CodeKeeper
from mitorch_service.training.loop.config_check import check_names
from mitorch_service.wiring import open_artifacts


class ConfigChecks(CodeKeeper):
    """Names that the engine knows, and resources that some cluster has; code goes into the artifact store."""

    def __init__(
        self, settings: Settings, check_resources: Callable[..., list[Problem]], folder: Path, upload: bool
    ) -> None:
        """`folder`: what a script's `source` is relative to. Without `upload` nothing is stored."""
        self._settings, self._check_resources = settings, check_resources
        self._folder, self._upload = folder, upload
        self._records: dict[Path, CodeRecord] = {}  # a file of a million lines repeats itself

    def __call__(self, config: AnyConfig | None, written: Mapping[str, Any]) -> list[Problem]:
        names = [] if is_script(written) else check_names(written)
        return names + self._check_resources(config, written)

    def keep(self, source: str) -> CodeRecord:
        path = self._folder / Path(source).expanduser()
        if path not in self._records:
            self._records[path] = self._keep(path)
        return self._records[path]

    def _keep(self, path: Path) -> CodeRecord:
        from mitorch_service.runs.script.code_archive import pack_code, store_code
        from mitorch_service.runs.script.code_record import code_record

        with tempfile.TemporaryDirectory(prefix="mitorch-code-") as folder:
            archive = pack_code(path, Path(folder, "code.tar.gz"))
            if self._upload:
                store_code(open_artifacts(self._settings), archive)
        return code_record(path, archive)
