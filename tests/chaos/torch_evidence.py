"""The part of the evidence that needs PyTorch: python -m tests.chaos.torch_evidence DATASET ASKED ANSWER.

ASKED is a JSON object: `configs`, each of which is trained here and now, undisturbed, and `models`, paths of weights.
ANSWER receives for each config what a training of it must give to the last bit, wherever it was killed, and for each
path the digest of what the product reads there.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from mitorch_service.errors import MiTorchError
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.splits import read_splits
from mitorch_service.training.loop.engine import train
from mitorch_service.training.networks.weights import read_weights, save_weights


def main(dataset: Path, asked: Path, answer: Path) -> None:
    """Trains one after the other, then reads."""
    question = json.loads(asked.read_text())
    undisturbed = [_train(dataset, config) for config in question["configs"]]
    digests = {path: _digest(Path(path)) for path in question["models"]}
    answer.write_text(json.dumps({"undisturbed": undisturbed, "digests": digests}))


def _train(dataset: Path, config: dict[str, Any]) -> dict[str, Any]:
    lists = read_splits({split: dataset / f"{split}.txt" for split in ("train", "val")})
    outcome = train(TrainingConfig.model_validate(config), lists["train"], lists["val"])
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "model.pth")
        save_weights(outcome.state_dict, weights, outcome.metadata)
        digest = _digest(weights)
    losses = [[result.train_loss, result.val_loss] for result in outcome.history]
    return {"losses": losses, "evaluation": outcome.evaluation, "digest": digest}


def _digest(path: Path) -> str:
    """A SHA-256 of what the file says. Its bytes differ: PyTorch writes the id of the process and how often it has met
    a text."""
    try:
        weights = read_weights(path)
    except MiTorchError as error:
        return str(error)
    digest = hashlib.sha256(b"" if weights.metadata is None else weights.metadata.model_dump_json().encode())
    for name, tensor in weights.state_dict.items():
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
