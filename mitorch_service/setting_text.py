"""Checks the text of settings: it must be text and, as a path, one of this machine."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

from mitorch_service.errors import SettingsError

_LONGEST = 1_000_000  # bytes


def check_text(variable: str, value: str) -> None:
    """Raises SettingsError for bytes that are no text: Python passes them on, but no database and no file of ours can
    hold them."""
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise SettingsError(variable, "is not UTF-8 text", "Write it in UTF-8; rename a folder that has another name.")


def read_setting_file(path: Path) -> str:
    """Returns the text of a file that a setting names. Raises OSError, also for a device and for one of more than a
    megabyte; UnicodeDecodeError."""
    if stat.S_ISCHR(path.stat().st_mode) or stat.S_ISBLK(path.stat().st_mode):
        raise OSError(errno.EINVAL, "a device, not a file")
    with path.open("rb") as file:
        content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise OSError(errno.EFBIG, f"more than {_LONGEST:,} bytes")
    return content.decode("utf-8")


def absolute_path(variable: str, text: str) -> Path:
    """Returns the absolute path. Raises SettingsError for ``~`` and the name of nobody, and for NUL."""
    if "\0" in text:
        raise SettingsError(variable, "the path contains the character NUL", "Remove it.")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:  # which says no more
        shown = text.partition("/")[0]
        raise SettingsError(variable, f"{shown} is no home folder of this machine", "Write the whole path.") from None
