"""Stores a script's code when the script is submitted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.models.config.script import CodeRecord
from mitorch_service.runs.script.code_archive import pack_code, store_code
from mitorch_service.runs.script.code_record import code_record

_NAMED = 10  # of the files that are left out


def keep_code(
    source: Path,
    artifacts: ArtifactStore | None,
    storing: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> CodeRecord:
    """Packs the folder or file `source` and stores the archive in `artifacts` (None: nowhere), within the context
    `storing`; returns its record.
    Warns of files that hold credentials, which are left out. Raises ValueError or OSError for code that cannot be
    packed, ArtifactError if it cannot be stored."""
    with tempfile.TemporaryDirectory(prefix="mitorch-code-") as folder:
        archive = pack_code(source, Path(folder, "code.tar.gz"))
        if artifacts is not None:
            with storing():
                store_code(artifacts, archive)
    if archive.left_out:
        _tell(source, archive.left_out)
    return code_record(source, archive)


def _tell(source: Path, left_out: Sequence[str]) -> None:
    import logging  # which takes 5 ms: not for every submission

    names = ", ".join(left_out[:_NAMED]) + (f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else "")
    remedy = "pass what the script needs in script.env, or as a path"
    logging.getLogger("mitorch").warning(
        "Warning: %s: not stored with the code, as they hold credentials: %s; %s.", source, names, remedy
    )
