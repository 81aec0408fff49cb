"""The record of a script's code beside its archive: the state of its repository, Python and packages."""

from __future__ import annotations

import platform
import re
from importlib.metadata import Distribution, distributions
from pathlib import Path

from mitorch_service.models.config.script import MAX_LEFT_OUT, MAX_PACKAGES, CodeRecord
from mitorch_service.runs.script.code_archive import CodeArchive
from mitorch_service.runs.script.git_state import git_record

_FIELD = re.compile(r"^(Name|Version):[ \t]*(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)
_NEEDED = {"name", "version"}


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
    found = {f"{head['name']}=={head['version']}" for head in map(_head, distributions()) if head.keys() >= _NEEDED}
    return sorted(found, key=str.lower)[:MAX_PACKAGES]


def _head(package: Distribution) -> dict[str, str]:
    """Reads name and version. The library's own properties parse the whole file, README included, at each access: a
    second in all, of each submission and each run."""
    text = package.read_text("METADATA") or package.read_text("PKG-INFO") or package.read_text("") or ""
    head = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    return {key.lower(): value for key, value in _FIELD.findall(head)}
