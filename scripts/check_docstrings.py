"""Refuses docstrings that begin with a fragment ("What ...", "Of ...") instead of a verb or a noun phrase.

    python scripts/check_docstrings.py [FOLDER ...]

Prints a line for each such docstring and exits 1 if there is one.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("mitorch_service", "functions", "scripts", "tests")
FRAGMENT = re.compile(r"\s*(What|Of|Those|Which|Where|Until|By|Whose)\b")


def fragments(source: str) -> Iterator[tuple[int, str]]:
    """Yields the line number and the first line of each refused docstring in a module's source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and FRAGMENT.match(text):
                yield node.body[0].lineno, text.partition("\n")[0]


def main(folders: list[str]) -> int:
    """Checks every Python file below the folders; returns the exit status."""
    found = [
        f"{path}:{line}: the docstring begins with a fragment: {text}"
        for folder in folders
        for path in sorted(Path(folder).rglob("*.py"))
        for line, text in sorted(fragments(path.read_text("utf-8")))
    ]
    if found:
        print("\n".join(found))
        print(f'{len(found)} docstrings to reword: begin with a verb ("Claims ...") or a noun phrase.')
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(FOLDERS)))
