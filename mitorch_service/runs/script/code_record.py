"""The record of a script's code beside its archive: the state of its repository, Python and packages."""

from __future__ import annotations

import platform
from importlib.metadata import distributions
from pathlib import Path

from mitorch_service.models.config.script import MAX_LEFT_OUT, MAX_PACKAGES, CodeRecord
from mitorch_service.runs.script.code_archive import CodeArchive
from mitorch_service.runs.script.git_state import git_record


def code_record(source: Path, archive: CodeArchive) -> CodeRecord:
    """Describes the code at `source`, which `archive` contains."""
    return CodeRecord(
        archive=archive.key,
        path=str(source.absolute()),
        files=archive.files,
        size=archive.size,
        git=git_record(source if source.is_dir() else source.parent),
        python=platform.python_version(),
        packages=installed_packages(),
        left_out=list(archive.left_out[:MAX_LEFT_OUT]),
    )


def installed_packages() -> list[str]:
    """``name==version`` of each package, sorted by name; at most `MAX_PACKAGES`."""
    found = {f"{one.metadata['Name']}=={one.version}" for one in distributions() if one.metadata["Name"]}
    return sorted(found, key=str.lower)[:MAX_PACKAGES]
