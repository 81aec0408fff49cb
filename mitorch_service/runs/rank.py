"""A further process of another process's run, on a further GPU or node."""

from __future__ import annotations

import logging

from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.errors import (
    ArtifactError,
    DataRefused,
    MachineTrouble,
    MiTorchError,
    ProcessLost,
    StoreError,
)
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.runs.context import START_PATIENCE
from mitorch_service.runs.engine_config import engine_config
from mitorch_service.stores.base import Store
from mitorch_service.stores.patience import persistently
from mitorch_service.training.data.splits import read_splits
from mitorch_service.training.loop.segment import segment_of
from mitorch_service.training.torch_imports import heavy_imports

log = logging.getLogger("mitorch")


def run_rank(store: Store, training_id: str, dataset_files: DatasetFiles) -> int:
    """Trains together with the process of rank 0, which alone reports, saves and writes to the store, and from which
    weights and checkpoints come. Returns the exit code of this process: 1 if it failed by an error of its own, 75 if by
    something around it, such as another process that has ended."""
    try:
        training = persistently(lambda: store.trainings.get_training(training_id), START_PATIENCE)
        dataset = persistently(lambda: store.datasets.get_dataset(training.dataset), START_PATIENCE)
        with dataset_files.local_paths(dataset) as paths:
            with heavy_imports():
                from mitorch_service.training.loop.engine import train

            lists = read_splits(paths, str(dataset.ref))
            train(engine_config(training), lists["train"], lists["val"], segment=segment_of(training))
    except (ProcessLost, StoreError, ArtifactError, MachineTrouble, DataRefused) as error:
        log.error("%s", mask_secrets(str(error)))
        return EXIT_INFRASTRUCTURE
    except MiTorchError as error:
        log.error("%s", mask_secrets(str(error)))
        return 1
    except Exception as error:  # noqa: BLE001 - most often the first process has ended: its own error says why
        log.error("this process of the training ends: %s: %s", type(error).__name__, mask_secrets(str(error)))
        return 1
    return 0
