"""Opens the files that a data set names, and only files: a pipe would block for ever, and a device never ends."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader, TextIOWrapper

Name = str | os.PathLike[str]

_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}


def open_binary(path: Name) -> BufferedReader:
    """Opens a file to read bytes. Raises OSError, also for a pipe or device and for a name that no file can have."""
    return os.fdopen(open_descriptor(path), "rb")


def open_text(path: Name, newline: str | None = None) -> TextIOWrapper:
    """Opens a file to read UTF-8 text, with or without a mark at its beginning. Raises OSError (`open_binary`)."""
    return TextIOWrapper(open_binary(path), encoding="utf-8-sig", newline=newline)


def open_descriptor(path: Name) -> int:
    """Opens a file as `open_binary` does, and returns its descriptor."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # else opening a pipe waits for a writer
    except ValueError as error:  # a NUL, or characters that cannot be encoded
        raise OSError(errno.EINVAL, "a name that no file can have") from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        raise OSError(errno.EINVAL, f"{_KINDS.get(stat.S_IFMT(mode), 'a special file')}, not a file")
    return descriptor


def is_file(path: Name) -> bool:
    """Whether there is such a file; False for a name that no file can have."""
    return os.path.isfile(path)  # noqa: PTH113 - pathlib's raises errors for such names


def is_folder(path: Name) -> bool:
    """Whether there is such a folder; False for a name that none can have."""
    return os.path.isdir(path)  # noqa: PTH112 - pathlib's raises errors for such names
