"""Starts a script of the label API's kind on the machine of its run: its sets as paths, its parameters as words.

``python -m … SCRIPT TRAIN NAME DATASTORE --train_sets TABLE … [--test_sets TABLE …] -- --lr=0.1 …`` runs ``SCRIPT
--train_sets L0 I0 … --test_sets … --lr 0.1``: TRAIN is the local file of the table called NAME in its container; each
image set becomes a folder with the container's folders in it, and again below the datastore's name, as Azure ML mounts
them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

END = "--"  # before the parameters


def script_words(arguments: Sequence[str], mount: Path) -> list[str]:
    """Returns the script and its arguments; makes the folder that stands for the mounted image sets."""
    script, train, name, datastore, *rest = arguments
    root = Path(train).parents[name.count("/")]
    mounted(root, datastore, mount)
    place = rest.index(END)
    words = [script]
    for word in rest[:place]:
        words += [word] if word.startswith("--") else [str(root / word), str(mount)]
    for word in rest[place + 1 :]:
        option, given, value = word.partition("=")
        words += [option, value] if given and not value.startswith("-") else [word]
    return words


def mounted(root: Path, datastore: str, mount: Path) -> None:
    """Fills an empty folder: ``mount/a/b`` and ``mount/DATASTORE/a/b`` are both ``root/a/b``."""
    for entry in root.iterdir():
        (mount / entry.name).symlink_to(entry.absolute())
    if not (mount / datastore).exists():
        (mount / datastore).symlink_to(root.absolute(), target_is_directory=True)


def main() -> None:
    """Replaces this process by the script's."""
    mount = Path(tempfile.mkdtemp(prefix=".sets-", dir=Path.cwd()))  # the run's own copy of the code
    os.execv(sys.executable, [sys.executable, *script_words(sys.argv[1:], mount)])  # noqa: S606 - the user's own script


if __name__ == "__main__":
    main()
