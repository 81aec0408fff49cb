"""Writes the metrics of each class as a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path


def write_table(per_class: Mapping[str, Mapping[str, float]], path: Path) -> Path:
    """Writes a header and one row per class; returns the path."""
    names = list(next(iter(per_class.values()), {}))
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(["class", *names])
        for one, metrics in per_class.items():
            writer.writerow([one, *(f"{metrics[name]:.6g}" for name in names)])
    return path
