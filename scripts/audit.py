"""Asks PyPI's vulnerability service about each version in constraints.txt, by pip-audit.

    python scripts/audit.py

Exits 1 if a version has a known vulnerability that EXCEPTIONS does not explain. A service that cannot be reached fails
nothing: it is said, with the number of versions that nobody looked at.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"
# The id of a vulnerability (such as GHSA-... or CVE-...) and why it does not concern us.
EXCEPTIONS: dict[str, str] = {}
_SECONDS = 120


def main() -> int:
    """Prints the findings; returns the exit status."""
    asked = ["--requirement", str(CONSTRAINTS), "--no-deps", "--disable-pip", "--format", "json"]
    command = [sys.executable, "-m", "pip_audit", *asked, "--progress-spinner", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        packages = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return _unreachable(f"no answer within {_SECONDS} s")
    except (ValueError, KeyError):
        return _unreachable((done.stderr.strip() or "no output").splitlines()[-1])
    return report(packages)


def report(packages: list[dict[str, Any]]) -> int:
    """Prints what pip-audit found out about each package, as its JSON gives it; returns the exit status."""
    found = [(package, one) for package in packages for one in package.get("vulns", ())]
    unexplained = [(package, one) for package, one in found if not {one["id"], *one["aliases"]} & EXCEPTIONS.keys()]
    for package, one in unexplained:
        fixed = ", ".join(one["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {one['id']}, fixed in {fixed}. Raise it: scripts/lock")
    skipped = [package["skip_reason"] for package in packages if "skip_reason" in package]
    if skipped:
        print(f"audit: {len(skipped)} of {len(packages)} versions were not looked at; the first: {skipped[0]}")
    else:
        print(f"audit: {len(packages)} versions; vulnerabilities: {len(unexplained)} unexplained, {len(found)} in all")
    return 1 if unexplained else 0


def _unreachable(reason: str) -> int:
    print(f"audit: the vulnerability service could not be asked ({reason}); nothing was looked at")
    return 0


if __name__ == "__main__":
    sys.exit(main())
