"""Whole processes of the commands on a database of N queued and N finished trainings.

    python -m tests.benchmarks.cli --store sqlite|mongo --n N [--keep DIR]

The floor is a click program that does nothing; `python -c pass` is given beside it. Byte code is compiled by the first
round, which does not count.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.filling import CONFIG, Database, filled, training_id
from tests.benchmarks.measuring import (
    BARE_CLICK,
    Round,
    Scale,
    arguments,
    clean_environment,
    in_turns,
    report,
    seconds_of,
)

COMMANDS = ("misubmit", "miquery", "midataset", "micontrol")


def processes(config: Path, n: int) -> dict[str, list[str]]:
    """Returns the commands to measure, by the name of their figure."""
    scripts = Path(sys.executable).parent
    bare = [sys.executable, "-c", BARE_CLICK]
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "bare click program": bare,
        "misubmit one.json": [str(scripts / "misubmit"), str(config)],
        "miquery ID": [str(scripts / "miquery"), training_id(n // 2)],
        "miquery": [str(scripts / "miquery")],
        "micontrol status": [str(scripts / "micontrol"), "status"],
        "midataset list": [str(scripts / "midataset"), "list"],
        **{f"{command} --help": [str(scripts / command), "--help"] for command in COMMANDS},
        "mitorch --help": [str(scripts / "mitorch"), "--help"],
    }


def measure(database: Database, scale: Scale, folder: Path) -> None:
    """Prints the figures."""
    config = folder / "one.json"
    config.write_text(json.dumps({**CONFIG, "dataset": "digits"}))
    environment = {**clean_environment(), **database.settings(), "MITORCH_HOME": str(folder)}

    def whole(command: list[str]) -> Round:
        return lambda: seconds_of(command, environment)

    commands = processes(config, scale.n)
    seconds = in_turns({name: whole(command) for name, command in commands.items()}, scale.repeats)
    floor = seconds["bare click program"] * 1000
    for name, value in seconds.items():
        report(name, value * 1000, "ms", floor, scale)


def main() -> None:
    given = arguments(__doc__).parse_args()
    with filled(given.store, given.n, given.keep) as database, tempfile.TemporaryDirectory() as folder:
        measure(database, Scale(given.store, given.n, given.repeats), Path(folder))


if __name__ == "__main__":
    main()
