"""The state of the git repository that holds a script's code. The repository's own settings execute nothing."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mitorch_service.models.config.script import MAX_DIFF, GitRecord
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.runs.script.credential_files import is_credential_name

_GIT_SECONDS = 20.0
_USER = re.compile(r"(?<=://)[^/@\s]+@")  # in a remote's address: often a token
_FILTER = re.compile(r"filter\.(.+)\.[a-z]+", re.IGNORECASE)
# Each would be executed by git: a monitor of the files, hooks. For filters see `_diff`.
_SETTINGS = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}")
_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",  # for a version of git that fetches missing objects all the same
}
_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all", "--no-renames")


def git_record(folder: Path) -> GitRecord | None:
    """The commit and the uncommitted changes below the folder, except of files that hold credentials; None outside a
    repository, in one without a commit, or if git is not installed."""
    commit = _text(_git(folder, "rev-parse", "HEAD"))
    if not commit:
        return None
    branch = _text(_git(folder, "symbolic-ref", "--quiet", "--short", "HEAD"))
    remote = _text(_git(folder, "remote", "get-url", "origin"))
    diff = _text(_diff(folder))
    return GitRecord(
        commit=commit.strip(),
        branch=branch.strip() or None,
        remote=_USER.sub("", remote.strip()) or None,
        diff=mask_secrets(diff)[:MAX_DIFF],
        diff_is_whole=len(diff) <= MAX_DIFF,
    )


def _diff(folder: Path) -> bytes | None:
    filters = _filters(folder)
    if any("=" in name for name in filters):
        return None  # it could not be switched off
    off = [f"filter.{name}.{key}" for name in filters for key in ("clean=", "process=", "required=false")]
    listed = _git(folder, "diff", *_DIFF, "--name-only", "-z", "HEAD", "--", ".", settings=off) or b""
    names = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    hidden = [f":(top,exclude,literal){name}" for name in names if is_credential_name(name)]
    return _git(folder, "diff", *_DIFF, "HEAD", "--", ".", *hidden, settings=off)


def _filters(folder: Path) -> list[str]:
    """The names of programs through which git would pass files before it compares them."""
    listed = _git(folder, "config", "--name-only", "-z", "--get-regexp", r"^filter\.") or b""
    matches = (_FILTER.fullmatch(os.fsdecode(name)) for name in listed.split(b"\0"))
    return sorted({match[1] for match in matches if match})


def _text(output: bytes | None) -> str:
    return (output or b"").decode("utf-8", "replace").replace("\0", "�")


def _git(folder: Path, *arguments: str, settings: Sequence[str] = ()) -> bytes | None:
    """The output; None if it failed."""
    given = [word for setting in (*_SETTINGS, *settings) for word in ("-c", setting)]
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *given, *arguments],  # noqa: S607 (the git of the PATH)
            capture_output=True,
            timeout=_GIT_SECONDS,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **_ENVIRONMENT},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None  # not installed, or too slow: the archive has the code
    return done.stdout if done.returncode == 0 else None
