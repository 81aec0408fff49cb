"""Figures of each class as a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path


def write_table(per_class: Mapping[str, Mapping[str, float]], path: Path) -> Path:
    """A line for each class, the columns named in the first; the path again."""
    names = list(next(iter(per_class.values()), {}))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["class", *names])
        for one, figures in per_class.items():
            writer.writerow([one, *(f"{figures[name]:.6g}" for name in names)])
    return path
