"""Creates an output in one step: under a name of its own, renamed when it is whole."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from mitorch_service.errors import DataError, InvalidInput, Problem


@contextmanager
def new_file(out: Path) -> Iterator[TextIO]:
    """A text file in UTF-8 that replaces `out` at the end; an error leaves `out` as it was. Raises DataError where it
    cannot be written."""
    partial = _partial(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("x", encoding="utf-8", newline="\n") as file:
            yield file
        partial.replace(out)
    except OSError as error:
        raise _not_written(out, error) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder that becomes `out` at the end; an error leaves none. Raises InvalidInput if `out` is a file or a folder
    with something in it, DataError where it cannot be written."""
    check_new(out)
    partial = _partial(out)
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.rename(out)  # over an empty folder, too
    except OSError as error:
        raise _not_written(out, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_new(out: Path) -> None:
    """Raises InvalidInput if there is a file `out`, or a folder that is not empty."""
    if out.is_dir():
        if any(out.iterdir()):
            raise InvalidInput(str(out), [Problem("", "is not empty: name a new folder, so that nothing is mixed")])
    elif out.exists():
        raise InvalidInput(str(out), [Problem("", "is a file: this format has several, name a new folder")])


def _not_written(out: Path, error: OSError) -> DataError:
    where = error.filename if error.filename is not None else out
    return DataError(f"{out} cannot be written ({where}: {error.strerror or error}). Choose another path.")


def _partial(out: Path) -> Path:
    return out.with_name(f".{out.name[:200]}.{uuid.uuid4().hex[:12]}.part")
