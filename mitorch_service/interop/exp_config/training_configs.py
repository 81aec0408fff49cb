"""Translates exp_config.json into a training config, or with HYPERTUNE into a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from mitorch_service.interop.exp_config.base_models import NearestModel, nearest_model
from mitorch_service.interop.exp_config.exp_config_file import ExpConfig
from mitorch_service.models.config.merge_patch import merge_patch
from mitorch_service.models.labels import MAX_TAG

_RESULTS = 20  # of a training, at most
_EVERY = 100  # steps between two results, at least: the interval of the original's early stopping
_WARMUP = 500  # steps at most, or a tenth of all
# The option of our Faster R-CNN for each key of FIRST_STAGE.
_OPTIONS = {
    "STRIDE": "feature_stride",
    "NMS_IOU_THRESHOLD": "rpn_nms_thresh",
    "NMS_SCORE_THRESHOLD": "rpn_score_thresh",
    "MAX_PROPOSALS": "rpn_max_proposals",
    "LOCALIZATION_LOSS_WEIGHT": "rpn_localization_loss_weight",
    "OBJECTNESS_LOSS_WEIGHT": "rpn_objectness_loss_weight",
}
# What the original's search draws from.
_NMS_IOUS: list[JsonValue] = [0.5, 0.6, 0.7]
_PROPOSALS: list[JsonValue] = [100, 200, 300]


@dataclass(frozen=True)
class Place:
    """The cluster on which it runs; `compute`: in the workspace of that cluster, if it is another one than its own."""

    cluster: str | None = None
    compute: str | None = None


def training_config(settings: ExpConfig, place: Place) -> dict[str, JsonValue]:
    """Builds the training config or job config."""
    model = nearest_model(settings.MODEL_PARAMS.BASE_MODEL)
    assert model is not None  # checked when it was read
    config = merge_patch(_config(settings, model, place), settings.config)
    if not settings.HYPERTUNE:
        return config
    search: dict[str, JsonValue] = {
        "algorithm": "random",
        "objective": "val_loss",
        "direction": "minimize",
        "max_trials": settings.NODES,
        "max_concurrent": settings.NODES,
        "early_stopping": {},
    }
    return {"job_type": "search", "config": merge_patch(config, _searched(model)), "search": search}


def unused_keys(settings: ExpConfig) -> list[str]:
    """Returns the keys of FIRST_STAGE if the model has no first stage."""
    model = nearest_model(settings.MODEL_PARAMS.BASE_MODEL)
    if model is None or model.two_stage:
        return []
    return [f"MODEL_PARAMS.FIRST_STAGE.{key}" for key in sorted(settings.MODEL_PARAMS.FIRST_STAGE.model_fields_set)]


def run_tags(settings: ExpConfig, train: str, test: str) -> tuple[str, ...]:
    """Returns the tags of the original, as far as they have a value; a long one is cut."""
    values = {
        "Description": settings.DESCRIPTION,
        "Train Set": train,
        "Test Set": test,
        "Base model": settings.MODEL_PARAMS.BASE_MODEL,
        "Steps": str(settings.RUN_PARAMS.STEPS),
    }
    tags = (f"{name}={_one_line(value)}" for name, value in values.items() if _one_line(value))
    return tuple(tag if len(tag) <= MAX_TAG else f"{tag[: MAX_TAG - 1]}…" for tag in tags)


def _one_line(text: str) -> str:
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _config(settings: ExpConfig, model: NearestModel, place: Place) -> dict[str, JsonValue]:
    steps = settings.RUN_PARAMS.STEPS
    options = _first_stage(settings) if model.two_stage else {}
    resources = {
        "cluster": place.cluster,
        "compute": place.compute,
        "image": settings.DOCKER_IMAGE,
        "experiment": settings.EXP_NAME,
    }
    given: dict[str, JsonValue] = {name: value for name, value in resources.items() if value is not None}
    return {
        "task_type": "object_detection",
        "model": {"name": model.name, "input_size": model.input_size, "pretrained": True, "options": options},
        "optimizer": {"name": "sgd", "momentum": 0.9},
        "lr_scheduler": {
            "name": "cosine",
            "base_lr": model.base_lr,
            "warmup": "linear",
            "warmup_steps": min(_WARMUP, steps // 10),
        },
        "augmentation": {"train": ["letterbox", "horizontal_flip"], "val": ["letterbox"]},
        "batch_size": model.batch_size,
        "max_steps": steps,
        "eval_every": min(steps, max(_EVERY, -(-steps // _RESULTS))),
        "eval_confidence": settings.EVAL_CONF,
        "resources": given,
    }


def _first_stage(settings: ExpConfig) -> dict[str, JsonValue]:
    given: Mapping[str, JsonValue] = settings.MODEL_PARAMS.FIRST_STAGE.model_dump(exclude_none=True)
    return {_OPTIONS[key]: value for key, value in given.items()}


def _searched(model: NearestModel) -> dict[str, JsonValue]:
    """The parameters to search: of two stages those of the original, else the learning rate and the decay. The weights
    of the losses are not searched: they change what is compared."""
    if not model.two_stage:
        rate = model.base_lr
        return {
            "lr_scheduler": {"base_lr": {"_loguniform": [rate / 10, rate * 3]}},
            "optimizer": {"weight_decay": {"_loguniform": [1e-6, 1e-3]}},
        }
    options: dict[str, JsonValue] = {
        "rpn_nms_thresh": {"_choice": _NMS_IOUS},
        "rpn_max_proposals": {"_choice": _PROPOSALS},
    }
    return {"model": {"options": options}}
