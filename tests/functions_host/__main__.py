"""`python -m tests.functions_host APP_FOLDER --state FILE`: runs a Function app as Azure's host does, as far as a test
needs it. Prints what happens as lines of JSON: the first has the address of the HTTP functions. Ends with its standard
input."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
from pathlib import Path

from tests.functions_host.app import FunctionApp, load
from tests.functions_host.guard import forbid
from tests.functions_host.output import LineHandler, say
from tests.functions_host.timer import Timer
from tests.functions_host.web import serve

_NEVER = ("torch", "torchvision", "timm", "torchmetrics")


def main() -> None:
    """Serves."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--state", type=Path, required=True, help="what the host remembers of its timers")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, handlers=[LineHandler()])
    forbid(_NEVER)
    app = load(arguments.folder.resolve(), os.environ)
    url = serve(app)
    say("started", url=url, functions={name: function.bindings for name, function in app.functions.items()})
    for timer in timers(app, arguments.state):
        threading.Thread(target=timer.run, daemon=True).start()
    sys.stdin.read()
    sys.stdout.flush()
    os._exit(0)  # a pass may be under way: a host that is taken away does not wait for it either


def timers(app: FunctionApp, state: Path) -> list[Timer]:
    """The functions that run on a schedule."""
    return [Timer(app, function, state) for function in app.functions.values() if function.trigger == "timerTrigger"]


if __name__ == "__main__":
    main()
