"""Stores a script's code when the script is submitted."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.models.script import CodeRecord
from mitorch_service.runs.script.code_archive import pack_code, store_code
from mitorch_service.runs.script.code_record import code_record


def keep_code(source: Path, artifacts: ArtifactStore | None) -> CodeRecord:
    """Packs the folder or file `source` and stores the archive in `artifacts` (None: nowhere); returns its record.
    Raises ValueError or OSError for code that cannot be packed, ArtifactError if it cannot be stored."""
    with tempfile.TemporaryDirectory(prefix="mitorch-code-") as folder:
        archive = pack_code(source, Path(folder, "code.tar.gz"))
        if artifacts is not None:
            store_code(artifacts, archive)
    return code_record(source, archive)
