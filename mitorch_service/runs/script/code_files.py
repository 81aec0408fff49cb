"""The files of a folder that are a script's code: all that .gitignore and .mitorchignore do not exclude."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

_IGNORE_FILES = (".gitignore", ".mitorchignore")
_NEVER = (".git/", ".hg/", ".svn/", "__pycache__/", "*.pyc", ".ipynb_checkpoints/", ".DS_Store")

Spec = tuple[Path, GitIgnoreSpec]  # patterns, and the folder that they are relative to


def code_files(folder: Path) -> Iterator[Path]:
    """The files below the folder, in no particular order; ignored folders are not read.

    Raises ValueError for a link to a folder that is not ignored: its contents may be anything, of any size.
    """
    yield from _walk(folder, [(folder, GitIgnoreSpec.from_lines(_NEVER)), *_above(folder)])


def _walk(folder: Path, above: list[Spec]) -> Iterator[Path]:
    specs = [*above, *_specs(folder)]
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        path = Path(entry.path)
        if _ignored(path, entry.is_dir(), specs):
            continue
        if entry.is_dir() and entry.is_symlink():
            remedy = "exclude it in .mitorchignore, and pass its path in script.env or parameters"
            raise ValueError(f"{path} is a link to a folder: {remedy}")
        if entry.is_dir():
            if not (path / "pyvenv.cfg").exists():  # a virtual environment is no code of the user's
                yield from _walk(path, specs)
        elif entry.is_file():
            yield path


def _above(folder: Path) -> list[Spec]:
    """The patterns of the repository's folders above this one; empty outside a repository."""
    folder = folder.resolve()
    found: list[Spec] = []
    for parent in (folder, *folder.parents):
        if parent != folder:
            found = [*_specs(parent), *found]
        if (parent / ".git").exists():
            return found
    return []


def _specs(folder: Path) -> list[Spec]:
    paths = [folder / name for name in _IGNORE_FILES]
    texts = [path.read_text("utf-8", "replace") for path in paths if path.is_file()]
    return [(folder, GitIgnoreSpec.from_lines(text.splitlines())) for text in texts]


def _ignored(path: Path, is_folder: bool, specs: list[Spec]) -> bool:
    """Decides as git does: the last pattern that matches counts, and a deeper folder's file before a higher one's."""
    for base, spec in reversed(specs):
        where = path if path.is_relative_to(base) else path.resolve()
        ignored = spec.check_file(where.relative_to(base).as_posix() + "/" * is_folder).include
        if ignored is not None:
            return ignored
    return False
