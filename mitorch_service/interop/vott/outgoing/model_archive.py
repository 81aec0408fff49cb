"""Packs a trained model as VoTT-train's plugins do: one ``model.tgz``."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

from mitorch_service.annotations.writers.csv_rows import CsvRows
from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.models.training import Training

WEIGHTS = "model.pth"


def pack_model(artifacts: ArtifactStore, training: Training, classes: Sequence[str], folder: Path) -> Path:
    """Writes ``model.tgz`` into the folder: weights, classes.csv (name, id), config.json and metrics.json. The same
    training gives the same bytes. Raises ArtifactError, OSError."""
    weights, packed = folder / WEIGHTS, folder / "model.tgz"
    artifacts.get(f"{training.id}/{WEIGHTS}", weights)
    texts = {
        "classes.csv": _classes(classes),
        "config.json": json.dumps({**training.config, "dataset": str(training.dataset)}, indent=2),
        "metrics.json": json.dumps(training.evaluation or {}, indent=2),
    }
    # Weights hardly shrink: the fastest level.
    with (
        packed.open("wb") as file,
        gzip.GzipFile("", "wb", 1, file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
        weights.open("rb") as opened,
    ):
        tar.addfile(_member(WEIGHTS, weights.stat().st_size), opened)
        for name, text in texts.items():
            content = text.encode()
            tar.addfile(_member(name, len(content)), io.BytesIO(content))
    weights.unlink()
    return packed


def _classes(names: Sequence[str]) -> str:
    text = io.StringIO()
    CsvRows(text).writerows((name, number) for number, name in enumerate(names))
    return text.getvalue()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member
