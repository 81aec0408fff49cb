"""Converts obdb's settings file to a search, or a training, for each of its variants.

As in the original (weed_training 3d08cf3, code/model_trainer.py): Faster R-CNN on a pretrained ResNet with a pyramid,
all its layers trained; SGD with StepLR; shorter side 800, batches of 4, flips and colour changes; the searched ranges
logarithmic except for integers; the objective is the best mean validation loss of an epoch.
"""

from __future__ import annotations

from typing import Any

from mitorch_service.models.merge_patch import merge_patch
from mitorch_service.models.obdb import ObdbFile, Settings, SherpaParameters

_DETECTORS = {"retina_net": "resnet50-fpn-retinanet"}  # the only one of the original's that is no backbone
_COLOURS = {"brightness": 0.125, "contrast": 0.5, "saturation": 0.5, "hue": 0.05}  # its photometric distortion


def documents(file: ObdbFile) -> dict[str, dict[str, Any]]:
    """Returns a job or training file for each variant, by name."""
    settings = file.settings
    found: dict[str, dict[str, Any]] = {}
    for name, variant in file.variants.items():
        if variant.run_hpo:
            found[name] = _search(name, settings)
        else:
            assert variant.optimal_hpo_settings is not None  # checked by the model
            found[name] = _config(name, settings, variant.optimal_hpo_settings.model_dump(), _to_the_end(settings))
    return found


def _search(name: str, settings: Settings) -> dict[str, Any]:
    assert settings.sherpa_parameters is not None  # checked when it was read
    ranges = _expressions(settings.sherpa_parameters)
    search = {
        "algorithm": "gp",
        "objective": "val_loss",
        "max_trials": settings.max_num_trials,
        "refit": _to_the_end(settings),
    }
    if settings.num_initial_data_points is not None:
        search["initial_trials"] = settings.num_initial_data_points
    config = _config(name, settings, ranges, {"max_epochs": settings.search_epochs})
    return {"job_type": "search", "config": config, "search": search, **_dataset(settings)}


def _to_the_end(settings: Settings) -> dict[str, Any]:
    """The duration of a winner's final training, and of one without a search."""
    plateau = {"max_plateau_count": settings.max_plateau_count}
    return {"max_epochs": settings.max_train_epochs, "early_stopping": plateau}


def _config(name: str, settings: Settings, values: dict[str, Any], length: dict[str, Any]) -> dict[str, Any]:
    config = {
        "task_type": "object_detection",
        "model": {"input_size": 800, "pretrained": True, **_detector(name)},
        "optimizer": {"name": "sgd", "momentum": values["momentum"], "weight_decay": values["weight_decay"]},
        "lr_scheduler": {
            "name": "step",
            "base_lr": values["lr"],
            "step_size": values["step_size"],
            "step_gamma": values["gamma"],
        },
        "augmentation": {
            "train": ["smallest_max_size", "horizontal_flip", {"name": "color_jitter", "options": _COLOURS}],
            "val": ["smallest_max_size"],
        },
        "batch_size": 4,
        "keep_weights": "best",
        **length,
    }
    merged: dict[str, Any] = merge_patch(config, settings.config)
    return merged | _dataset(settings)


def _detector(variant: str) -> dict[str, Any]:
    """The detector of a variant, which is named after a backbone, or after one of the service's detectors."""
    if "-" in variant:
        return {"name": variant}
    name = _DETECTORS.get(variant, f"{variant}-fpn-fasterrcnn")
    return {"name": name, "options": {"trainable_backbone_layers": 5}}


def _expressions(ranges: SherpaParameters) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in SherpaParameters.model_fields:
        low, high = getattr(ranges, name)
        kind = "_int" if name == "step_size" else "_loguniform"
        found[name] = low if low == high else {kind: [low, high]}
    return found


def _dataset(settings: Settings) -> dict[str, Any]:
    return {} if settings.dataset is None else {"dataset": str(settings.dataset)}
