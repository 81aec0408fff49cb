"""The record of a script's code beside its archive: the state of its repository, Python and packages."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import distributions
from pathlib import Path

from mitorch_service.models.script import MAX_DIFF, MAX_PACKAGES, CodeRecord, GitRecord
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.runs.script.code_archive import CodeArchive

_GIT_SECONDS = 20.0
_USER = re.compile(r"(?<=://)[^/@\s]+@")  # in a remote's address: often a token


def code_record(source: Path, archive: CodeArchive) -> CodeRecord:
    """Describes the code at `source`, which `archive` contains."""
    return CodeRecord(
        archive=archive.key,
        files=archive.files,
        size=archive.size,
        git=git_record(source if source.is_dir() else source.parent),
        python=platform.python_version(),
        packages=installed_packages(),
    )


def git_record(folder: Path) -> GitRecord | None:
    """The commit and the uncommitted changes below the folder; None outside a repository, in one without a commit, or
    if git is not installed."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    branch = _git(folder, "symbolic-ref", "--quiet", "--short", "HEAD")
    remote = _git(folder, "remote", "get-url", "origin")
    diff = _git(folder, "diff", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD", "--", ".") or ""
    return GitRecord(
        commit=commit.strip(),
        branch=branch.strip() if branch else None,
        remote=_USER.sub("", remote.strip()) if remote else None,
        diff=mask_secrets(diff)[:MAX_DIFF],
        diff_is_whole=len(diff) <= MAX_DIFF,
    )


def installed_packages() -> list[str]:
    """``name==version`` of each package, sorted by name; at most `MAX_PACKAGES`."""
    found = {f"{one.metadata['Name']}=={one.version}" for one in distributions() if one.metadata["Name"]}
    return sorted(found, key=str.lower)[:MAX_PACKAGES]


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            timeout=_GIT_SECONDS,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None  # not installed, or too slow: the archive has the code
    return done.stdout.decode("utf-8", "replace").replace("\0", "�") if done.returncode == 0 else None
