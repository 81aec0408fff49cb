"""Patterns of ignore files choose the paths that git does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from mitorch_service.runs.script.code_files import code_files

SIGNS = [
    *"ab*?/! #é",
    "**",
    "***",
    "[ab]",
    "[!a]",
    "[^b]",
    "[a-b]",
    "[]a]",
    "[[:alpha:]]",
    "[a",
    "\\",
    "/**/",
    "\t",
    "\r",
]
PATTERNS = st.lists(st.sampled_from(SIGNS), min_size=1, max_size=6).map("".join)
GROUPS = 10  # folders with patterns of their own, for which git is asked once
PATHS = ("x", "é", "#", "!b", " x", "x\t", "a/a", "a/b", "a/é", "ab/a", "b/a/b", "b/ab/b", "b/a b/a", "a b/a/b", "[a/b")
ODD = [
    " ab/",
    "a**/b",
    "a\\/b",
    "x\t",
    "[a/b",
    "***/b",
    "!/*",
    "a/*\n!a/b",
    "a/",
    "*/",
    "b/**",
    "/é",
    "\\#",
    "\\!b",
    "[é]",
]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the same files in each group."""
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", folder], check=True)
    for number in range(GROUPS):
        for name in PATHS:
            path = folder / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return folder


@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate])
@example([ODD[number % len(ODD)] for number in range(GROUPS)])
@example([ODD[-1 - number] for number in range(GROUPS)])
@given(texts=st.lists(st.lists(PATTERNS, min_size=1, max_size=3).map("\n".join), min_size=GROUPS, max_size=GROUPS))
def test_paths_are_ignored_as_by_git(repository: Path, texts: list[str]) -> None:
    for number, text in enumerate(texts):
        (repository / str(number) / ".gitignore").write_text(f"{text}\n")
    listing = ["git", "-C", str(repository), "ls-files", "-z", "--others", "--exclude-per-directory=.gitignore"]
    done = subprocess.run(listing, check=True, capture_output=True)
    listed = {os.fsdecode(name) for name in done.stdout.split(b"\0") if name}
    found = code_files(repository)
    assert {found.name(path) for path in found.files} == listed
