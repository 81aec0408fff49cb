"""The files of a folder that are a script's code: all that .gitignore and .mitorchignore do not exclude, except those
that hold credentials."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from mitorch_service.runs.script.credential_files import holds_private_key, is_credential_name
from mitorch_service.runs.script.ignore_patterns import IgnorePatterns

_IGNORE_FILES = (".gitignore", ".mitorchignore")
_HISTORY = (".git", ".hg", ".svn")  # no pattern brings them back
_USUALLY = IgnorePatterns(b"__pycache__/\n*.pyc\n.ipynb_checkpoints/\n.DS_Store")

Spec = tuple[Path, IgnorePatterns]  # patterns, and the folder that they are relative to


@dataclass
class CodeFiles:
    """The code in a folder, or one file of it; paths begin with the folder as it was given."""

    root: Path
    files: list[Path] = field(default_factory=list)  # in no particular order
    left_out: list[str] = field(default_factory=list)  # names of files and folders (with a /) of credentials

    def name(self, path: Path) -> str:
        """The path below the root."""
        return path.relative_to(self.root).as_posix()


def code_files(source: Path) -> CodeFiles:
    """Finds the code in a folder, or the file itself; ignored folders are not read.

    Raises ValueError, with a remedy, for links that are not ignored and lead out of the folder or to a folder, whose
    contents may be anything, of any size; and for a file that holds credentials. Raises OSError.
    """
    if source.is_dir():
        found = CodeFiles(source)
        above = _above(source)
        if not _is_within_ignored(source.resolve(), above):
            _walk(source, [(source, _USUALLY), *above], found)
        return found
    if is_credential_name(source.name) or holds_private_key(source, source.stat().st_size):
        raise ValueError(f"{source} holds credentials, which are never stored as code: give the script's own file")
    return CodeFiles(source.parent, [source])


def _walk(folder: Path, above: list[Spec], found: CodeFiles) -> None:
    specs = [*above, *_specs(folder)]
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        path = Path(entry.path)
        if entry.name in _HISTORY or _ignored(path, entry.is_dir(), specs):
            continue
        if entry.is_dir():
            _walk_into(path, entry.is_symlink(), specs, found)
        elif entry.is_file():
            if _holds_credentials(found.root, path, entry):
                found.left_out.append(found.name(path))
            else:
                found.files.append(path)


def _walk_into(folder: Path, is_link: bool, specs: list[Spec], found: CodeFiles) -> None:
    if not is_link and (folder / "pyvenv.cfg").exists():
        return  # a virtual environment is no code of the user's
    if is_credential_name(found.name(folder), is_folder=True):
        found.left_out.append(f"{found.name(folder)}/")
    elif is_link:
        remedy = "exclude it in .mitorchignore, and pass its path in script.env or parameters"
        raise ValueError(f"{folder} is a link to a folder: {remedy}")
    else:
        _walk(folder, specs, found)


def _holds_credentials(root: Path, path: Path, entry: os.DirEntry[str]) -> bool:
    """Whether a file, or what a link leads to, holds credentials. Raises ValueError for a link out of the root."""
    names = [path.relative_to(root).as_posix()]
    if entry.is_symlink():
        target, whole = path.resolve(), root.resolve()
        if not target.is_relative_to(whole):
            remedy = "copy the file, exclude the link in .mitorchignore, or name a folder that holds both as the source"
            raise ValueError(f"{path} is a link out of {root}, to {target}: {remedy}")
        names.append(target.relative_to(whole).as_posix())
    return any(map(is_credential_name, names)) or holds_private_key(path, entry.stat().st_size)


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


def _is_within_ignored(folder: Path, above: list[Spec]) -> bool:
    """Whether the folder or one that it is in, within the repository, is ignored."""
    for base in {base for base, _ in above}:
        for one in (folder, *folder.parents):
            if one != base and one.is_relative_to(base):
                specs = [(where, spec) for where, spec in above if one != where and one.is_relative_to(where)]
                if _ignored(one, True, specs):
                    return True
    return False


def _specs(folder: Path) -> list[Spec]:
    paths = [folder / name for name in _IGNORE_FILES]
    return [(folder, IgnorePatterns(path.read_bytes())) for path in paths if path.is_file()]


def _ignored(path: Path, is_folder: bool, specs: list[Spec]) -> bool:
    """Decides as git does: the last pattern that matches counts, and a deeper folder's file before a higher one's."""
    for base, spec in reversed(specs):
        where = path if path.is_relative_to(base) else path.parent.resolve() / path.name  # a link counts as itself
        ignored = spec.decide(where.relative_to(base).as_posix(), is_folder)
        if ignored is not None:
            return ignored
    return False
