"""Compares the stored code of a script with what its source holds now."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mitorch_service.models.config.script import CodeRecord
from mitorch_service.runs.script.code_archive import pack_code


def has_changed(code: CodeRecord) -> bool:
    """Whether the source is on this machine and holds other code than was stored. Code that cannot be packed is not
    compared."""
    if code.path is None:
        return False
    with tempfile.TemporaryDirectory(prefix="mitorch-code-") as folder:
        try:
            return pack_code(Path(code.path), Path(folder, "code.tar.gz")).digest != code.digest
        except (ValueError, OSError):
            return False
