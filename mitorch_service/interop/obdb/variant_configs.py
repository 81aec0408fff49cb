"""Translates obdb's settings file into a search, or a training, for each of its variants.

As in the original (weed_training 3d08cf3, code/model_trainer.py): Faster R-CNN on a pretrained ResNet with a feature
pyramid, all its layers trained; SGD with StepLR; shorter side 800, batches of 4, flips and colour jitter; the searched
ranges logarithmic except for the integers; trials are compared by the best mean validation loss of an epoch.
"""

from __future__ import annotations

from pydantic import JsonValue

from mitorch_service.models.config.merge_patch import merge_patch
from mitorch_service.models.config.obdb import ObdbFile, ObdbSettings, SherpaParameters

_DETECTORS = {
    "retina_net": "resnet50-fpn-retinanet"
}  # the only variant of the original that is not named after a backbone
_COLORS = {"brightness": 0.125, "contrast": 0.5, "saturation": 0.5, "hue": 0.05}  # its photometric distortion


def variant_configs(file: ObdbFile) -> dict[str, dict[str, JsonValue]]:
    """Builds a job or training config for each variant."""
    settings = file.settings
    found: dict[str, dict[str, JsonValue]] = {}
    for name, variant in file.variants.items():
        if variant.run_hpo:
            found[name] = _search(name, settings)
        else:
            assert variant.optimal_hpo_settings is not None  # checked by the model
            found[name] = _config(name, settings, variant.optimal_hpo_settings.model_dump(), _full_length(settings))
    return found


def _search(name: str, settings: ObdbSettings) -> dict[str, JsonValue]:
    assert settings.sherpa_parameters is not None  # checked when it was read
    ranges = _expressions(settings.sherpa_parameters)
    search: dict[str, JsonValue] = {
        "algorithm": "gp",
        "objective": "val_loss",
        "max_trials": settings.max_num_trials,
        "refit": _full_length(settings),
    }
    if settings.num_initial_data_points is not None:
        search["initial_trials"] = settings.num_initial_data_points
    config = _config(name, settings, ranges, {"max_epochs": settings.search_epochs})
    return {"job_type": "search", "config": config, "search": search, **_dataset(settings)}


def _full_length(settings: ObdbSettings) -> dict[str, JsonValue]:
    """The length of a winner's final training, and of a training without a search."""
    plateau: dict[str, JsonValue] = {"max_plateau_count": settings.max_plateau_count}
    return {"max_epochs": settings.max_train_epochs, "early_stopping": plateau}


def _config(
    name: str, settings: ObdbSettings, values: dict[str, JsonValue], length: dict[str, JsonValue]
) -> dict[str, JsonValue]:
    config: dict[str, JsonValue] = {
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
            "train": ["smallest_max_size", "horizontal_flip", {"name": "color_jitter", "options": {**_COLORS}}],
            "val": ["smallest_max_size"],
        },
        "batch_size": 4,
        "keep_weights": "best",
        **length,
    }
    merged: dict[str, JsonValue] = merge_patch(config, settings.config)
    return merged | _dataset(settings)


def _detector(variant: str) -> dict[str, JsonValue]:
    """The model of a variant, whose name is that of a backbone, or the whole name of one of our detectors."""
    if "-" in variant:
        return {"name": variant}
    name = _DETECTORS.get(variant, f"{variant}-fpn-fasterrcnn")
    return {"name": name, "options": {"trainable_backbone_layers": 5}}


def _expressions(ranges: SherpaParameters) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for name in SherpaParameters.model_fields:
        low, high = getattr(ranges, name)
        kind = "_int" if name == "step_size" else "_loguniform"
        found[name] = low if low == high else {kind: [low, high]}
    return found


def _dataset(settings: ObdbSettings) -> dict[str, JsonValue]:
    return {} if settings.dataset is None else {"dataset": str(settings.dataset)}
