"""Questions about a stored state: whether it fits a training, and what it contains."""

from __future__ import annotations

import hashlib
import json

from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.result import EpochResult
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.loop.checkpoints.checkpoint import State

# Parts of the config that do not change the numbers: a training may resume with others.
_WITHOUT_EFFECT: dict[str, bool | set[str]] = {
    **dict.fromkeys(("checkpoint", "dataset", "base", "max_retries", "num_workers", "resources"), True),
    # with images that cannot be loaded, "fail" has no numbers
    "data": {"cache_memory", "max_pixels", "max_unpacked_size", "on_error", "stall_timeout"},
}


def fingerprint(config: TrainingConfig, train: ImageList, val: ImageList) -> str:
    """A SHA-256 that differs if a checkpoint of one training does not fit another: other settings, classes, images or
    labels. The contents of the images are not read."""
    text = config.model_dump_json(exclude=_WITHOUT_EFFECT)
    identity = (text, train.classes, train.digest(), val.digest())
    return hashlib.sha256(repr(identity).encode("utf-8", "surrogateescape")).hexdigest()


def finished_epochs(state: State | None) -> int:
    """The number of whole epochs in a checkpoint."""
    return int(state["epoch"]) if state is not None else 0


def origin_of(state: State | None) -> str | None:
    """The name of the state that the training inherited last before this one; None if it inherited none."""
    origin: str | None = state.get("origin") if state is not None else None
    return origin


def results_in(state: State | None) -> list[EpochResult]:
    """The results of the whole epochs in a checkpoint."""
    return [EpochResult.model_validate(json.loads(line)) for line in state["history"]] if state is not None else []
