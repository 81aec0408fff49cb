"""Measures the imports of each command: a table of all packages above 5 ms (`python -X importtime`).

    python -m tests.benchmarks.imports [--repeats 5] [--above 5] [--store sqlite|mongo]

`self` is what the package's own modules take, `with all` what its first import takes with everything that it brings in.
Times are medians in milliseconds; measuring makes each import some tenths slower. Packages within ours are shown too.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.filling import CONFIG, filled, training_id
from tests.benchmarks.measuring import arguments, clean_environment

OURS = "mitorch_service"


@dataclass(frozen=True)
class Import:
    """One module, in the order in which modules were finished."""

    name: str
    own: float  # ms
    whole: float  # ms, with what it imports first
    depth: int


def imported(arguments: Sequence[str], environment: Mapping[str, str]) -> list[Import]:
    """Returns the imports of a Python process with these arguments. Raises CalledProcessError."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return list(_parsed(done.stderr))


def by_package(imports: Sequence[Import]) -> dict[str, tuple[float, float]]:
    """Package -> (ms of its own modules, ms with everything that was imported from within its imports)."""
    own: dict[str, float] = {}
    whole: dict[str, float] = {}
    outer: list[Import] = []  # the modules around, outermost first: a list that is read backwards names them first
    for module in reversed(imports):
        del outer[module.depth :]
        package = package_of(module.name)
        own[package] = own.get(package, 0.0) + module.own
        if package not in map(package_of, (around.name for around in outer)):
            whole[package] = whole.get(package, 0.0) + module.whole
        outer.append(module)
    return {package: (own[package], whole[package]) for package in own}


def package_of(module: str) -> str:
    """The top-level package; of ours, the module."""
    return module if module.startswith(f"{OURS}.") else module.split(".", maxsplit=1)[0]


def _parsed(text: str) -> Iterator[Import]:
    for line in text.splitlines():
        if not line.startswith("import time:") or "imported package" in line:
            continue
        own, whole, name = line.removeprefix("import time:").split("|")
        depth = (len(name) - len(name.lstrip()) - 1) // 2
        yield Import(name.strip(), int(own) / 1000, int(whole) / 1000, depth)


def commands(config: Path) -> dict[str, list[str]]:
    """Returns the commands to measure, by name."""
    scripts = Path(sys.executable).parent
    named = {
        "misubmit one.json": ["misubmit", str(config)],
        "misubmit --help": ["misubmit", "--help"],
        "miquery": ["miquery"],
        "miquery ID": ["miquery", training_id(0)],
        "midataset list": ["midataset", "list"],
        "micontrol status": ["micontrol", "status"],
        "micontrol": ["micontrol"],
    }
    return {name: [str(scripts / program), *rest] for name, (program, *rest) in named.items()}


def show(name: str, runs: Sequence[list[Import]], above: float) -> None:
    """Prints the table of one command."""
    packages = [by_package(run) for run in runs]
    rows = []
    for package in packages[0]:
        own, whole = (statistics.median(p.get(package, (0.0, 0.0))[i] for p in packages) for i in (0, 1))
        if whole >= above:
            rows.append((whole, own, package))
    total = statistics.median(sum(module.own for module in run) for run in runs)
    print(f"\n{name}: {len(runs[0])} modules, {total:.0f} ms in imports")
    print(f"  {'self':>7}  {'with all':>8}  package")
    for whole, own, package in sorted(rows, reverse=True):
        print(f"  {own:7.1f}  {whole:8.1f}  {package}")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--above", type=float, default=5.0, help="milliseconds with all that is brought in")
    given = parser.parse_args()
    with filled(given.store, 10, None) as database, tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "one.json")
        config.write_text(json.dumps({**CONFIG, "dataset": "digits"}))
        environment = {**clean_environment(), **database.settings(), "MITORCH_HOME": folder, "MITORCH_CLUSTERS": ""}
        for name, command in commands(config).items():
            runs = [imported(command, environment) for _ in range(given.repeats + 1)]
            show(name, runs[1:], given.above)


if __name__ == "__main__":
    main()
