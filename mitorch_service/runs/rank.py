"""A process that takes part in the run of another: on a further GPU, or on a further node."""

from __future__ import annotations

import logging

from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.errors import MiTorchError
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.runs.config import config_of
from mitorch_service.stores.base import Store
from mitorch_service.stores.patience import persistently
from mitorch_service.training.data.splits import read_splits
from mitorch_service.training.loop.segment import segment_of
from mitorch_service.training.torch_imports import heavy_imports

_PATIENCE = 600.0  # seconds to wait for the database

log = logging.getLogger("mitorch")


def run_share(store: Store, training_id: str, dataset_files: DatasetFiles) -> int:
    """Trains together with the first process, which alone reports, saves and writes to the store; returns the exit
    code of this one, 1 if it failed. Weights and checkpoints come from the first."""
    try:
        training = persistently(lambda: store.get_training(training_id), _PATIENCE)
        dataset = persistently(lambda: store.get_dataset(training.dataset), _PATIENCE)
        with dataset_files.at_hand(dataset) as paths:
            with heavy_imports():
                from mitorch_service.training.loop.engine import train

            lists = read_splits(paths, str(dataset.ref))
            train(config_of(training), lists["train"], lists["val"], segment=segment_of(training))
    except MiTorchError as error:
        log.error("%s", mask_secrets(str(error)))
        return 1
    except Exception as error:  # noqa: BLE001 - most often the first process has ended: its own error says why
        log.error("this process of the training ends: %s: %s", type(error).__name__, mask_secrets(str(error)))
        return 1
    return 0
