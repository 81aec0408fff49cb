"""`python -m tests.coverage_report FOLDER`: the report of what was counted, for people; fails below the limit."""

from __future__ import annotations

import pickle
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import slipcover  # type: ignore[import-untyped]

from tests import coverage_modules

_ROOT = Path(__file__).parents[1]
_EXCLUDED = ["if TYPE_CHECKING:", "@abstractmethod", r"^\s*\.\.\.$"]


def report(folder: Path) -> bool:
    """Prints what has been counted; returns whether it is as much as pyproject.toml asks for."""
    counter = slipcover.Slipcover(branch=True, exclude_also=_EXCLUDED)
    for lines_of, branches_of in coverage_modules.places(folder):  # also of what was never imported
        counter.code_lines.update(lines_of)
        counter.code_branches.update(branches_of)
    for path in folder.glob("*.seen"):
        for seen in _read(path):
            for file, places in seen.items():
                counter.all_seen[file] |= places
    coverage = counter.get_coverage()
    slipcover.print_coverage(coverage, skip_covered=True, missing_width=60)
    least = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["slipcover"]["fail-under"]
    total = coverage["summary"]
    lines = total["covered_lines"], total["covered_lines"] + total["missing_lines"]
    branches = total["covered_branches"], total["covered_branches"] + total["missing_branches"]
    print(
        f"Coverage of mitorch_service: {total['percent_covered']:.1f} % "
        f"({lines[0]} of {lines[1]} lines, {branches[0]} of {branches[1]} branches); at least {least} % is required"
    )
    return bool(total["percent_covered"] >= least)


def _read(path: Path) -> Iterator[dict[str, set[object]]]:
    with path.open("rb") as file:
        while file.peek(1):
            try:
                yield pickle.load(file)
            except (EOFError, pickle.UnpicklingError):
                return  # the process was killed while it wrote


if __name__ == "__main__":
    sys.exit(0 if report(Path(sys.argv[1])) else 1)
