"""The evidence of the engine's trainings: their runs' logs, stored files, and what they give when nothing is killed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitorch_service.models.training import Training, run_of
from tests.chaos.folders import ALIKE, Folders

MODEL = "model.pth"
# The lines of a run's log that tell what it does, by what that is; each with a number, if any.
_LINES = (
    ("resume", re.compile(r"\S+ \S+ Resuming from a checkpoint: epoch (\d+), step \d+\.$")),
    ("start", re.compile(r"\S+ \S+ training on cpu: ()")),
    ("report", re.compile(r"\S+ \S+ epoch (\d+)  train_loss ")),
)


@dataclass(frozen=True)
class Undisturbed:
    """The outcome of a training to which nothing happens."""

    losses: list[list[float]]  # of training and validation, by epoch
    evaluation: dict[str, float]
    digest: str  # of the model


@dataclass
class EngineEvidence:
    """Evidence of the engine's trainings besides their documents, by training."""

    undisturbed: dict[str, Undisturbed] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)  # keys below the training's own prefix
    models: dict[str, str] = field(default_factory=dict)  # digests of the stored models, or why they cannot be read
    # The newest checkpoint that was seen, by the last attempt that had begun by then.
    checkpoints: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))


def is_engine(training: Training) -> bool:
    """Whether the product's own engine trains it."""
    return "model" in training.config


def read_logs(folders: Folders, trainings: Iterable[Training]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yields for each training of the engine what its runs' logs say, in the form of the scripts' notes."""
    for training in trainings:
        notes: list[dict[str, Any]] = []
        for folder in folders.runs_of(training.id):
            log = folder / "log.txt"
            if log.exists() and (place := run_of(folder.name)):
                notes += _notes(log, place[1])
        yield training.id, notes


def _notes(log: Path, attempt: int) -> Iterator[dict[str, Any]]:
    for line in log.read_text("utf-8", "replace").splitlines():
        for event, pattern in _LINES:
            if found := pattern.match(line):
                fact = {"epoch": int(found[1])} if event == "report" else {"from": int(found[1] or 1)}
                yield {"event": event, "attempt": attempt, "pid": 0, "alone": True, **fact}


def read_models(evidence: EngineEvidence, folders: Folders, trainings: list[Training]) -> None:
    """Adds the stored files, and what PyTorch says of them; starts it only if there are any."""
    if not trainings:
        return
    for training in trainings:
        place = folders.artifacts / training.id
        evidence.files[training.id] = sorted(
            str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()
        )
    stored = {t.id: str(folders.artifacts / t.id / MODEL) for t in trainings if MODEL in evidence.files[t.id]}
    configs = {json.dumps(training.config, sort_keys=True): training.config for training in trainings}
    answer = _ask(folders, {"configs": [*configs.values()], "models": [*stored.values()]})
    truths = {config: Undisturbed(**truth) for config, truth in zip(configs, answer["undisturbed"], strict=True)}
    evidence.undisturbed = {t.id: truths[json.dumps(t.config, sort_keys=True)] for t in trainings}
    evidence.models = {id: answer["digests"][path] for id, path in stored.items()}


def _ask(folders: Folders, question: Mapping[str, object]) -> Any:
    asked, answer = folders.root / "asked.json", folders.root / "answer.json"
    asked.write_text(json.dumps(question))
    command = [sys.executable, "-m", "tests.chaos.torch_evidence", str(folders.dataset), str(asked), str(answer)]
    environment = {**os.environ, **ALIKE, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(command, env=environment, cwd=folders.root, check=True)
    return json.loads(answer.read_text())
