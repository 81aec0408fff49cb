"""Fuzzes the parsers of the product, one after the other; shows what they do not take well: see scripts/fuzz."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzzing.registry import load_all


def main(arguments: list[str]) -> int:
    """Returns the exit status: 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="for all targets together [default: 30]")
    parser.add_argument("--target", action="append", help="one of them; may be repeated [default: all]")
    parser.add_argument("--list", action="store_true", help="show the targets and end")
    parser.add_argument("--keep", type=Path, help="a folder for inputs and findings")
    options = parser.parse_args(arguments)
    chosen = options.target or list(load_all())
    if options.list:
        print("\n".join(chosen))
        return 0
    with tempfile.TemporaryDirectory(prefix="mitorch-fuzz-") as temporary:
        folder = options.keep or Path(temporary)
        found = [_fuzz(name, max(1, options.seconds // len(chosen)), folder.absolute() / name) for name in chosen]
    print(f"{len(chosen)} targets, {sum(found)} findings")
    return int(any(found))


def _fuzz(name: str, seconds: int, folder: Path) -> int:
    """Fuzzes one target in a process of its own; prints and counts what was found."""
    folder.mkdir(parents=True, exist_ok=True)
    program = [sys.executable, "-m", "tests.fuzzing.guided", name, str(seconds), str(folder)]
    done = subprocess.run(program, capture_output=True, check=False)
    said = done.stderr.decode("utf-8", "replace")
    runs = re.search(r"number_of_executed_units:\s*(\d+)", said)
    results = folder / "findings.json"
    findings = json.loads(results.read_text("utf-8")) if results.is_file() else []
    if done.returncode != 0:
        cause = "it was ended" if runs else "it did not start"
        findings.append({"kind": f"{cause} ({done.returncode})", "told": said[-3000:], "content": f"in {folder}"})
    print(f"{name}: {int(runs[1]) if runs else 0:,} inputs, {len(findings)} findings", flush=True)
    for one in findings:
        print(f"  {one['kind']}\n    {one['content'][:300]}\n    {one['told'].strip()[-1500:]}", flush=True)
    return len(findings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
