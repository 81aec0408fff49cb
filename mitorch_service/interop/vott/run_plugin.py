"""Runs a plugin of VoTT-train as it expects to be run: with ``--key value`` for every key of the message.

The message comes by the environment and the arguments are set within the process: its addresses hold SAS tokens, which
every user of a machine could read on a command line.

    python3 -m mitorch_service.interop.vott.run_plugin plugin.py | --installed NAME
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

VARIABLE = "VOTT_MESSAGE_SECRET"  # by its name it is masked wherever it is shown
_INSTALLED = "--installed"
_GROUP = "mitorch_service.vott_plugins"


def arguments(message: Mapping[str, object]) -> list[str]:
    """Returns ``--key value`` for each key but the plugin's name, which strict plugins refuse; text as it is, anything
    else as JSON."""
    words: list[str] = []
    for key, value in message.items():
        if key not in ("plugin", "plugin_name") and value is not None:
            words += [f"--{key}", value if isinstance(value, str) else json.dumps(value)]
    return words


def main(words: Sequence[str]) -> None:
    """Runs the program or function that the words name."""
    given = arguments(json.loads(os.environ.pop(VARIABLE)))
    if words[0] == _INSTALLED:
        from importlib.metadata import entry_points

        (point,) = entry_points(group=_GROUP, name=words[1])
        sys.argv = [words[1], *given]
        sys.exit(point.load()())
    program = Path(words[0]).absolute()
    sys.argv = [str(program), *given]
    sys.path.insert(0, str(program.parent))
    runpy.run_path(str(program), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
