"""Builds the network of a config: a timm classifier, a detector, or a model registered by an installed package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import timm
import torch
from torch import Tensor, nn

from mitorch_service.errors import ModelError
from mitorch_service.models.config.training_config import ModelConfig
from mitorch_service.training.networks.detectors.detector_names import DetectorName, parse_detector
from mitorch_service.training.networks.downloads import fetches
from mitorch_service.training.networks.model_names import (
    DETECTION,
    MODELS_GROUP,
    nearest_models,
    resolve_model,
    unknown_model_problem,
)
from mitorch_service.training.plugins import load_plugin, plugin_names

_OURS = {
    "num_classes": "it is the data set's number of classes",
    "pretrained": "set model.pretrained",
    "img_size": "set model.input_size",
    "in_chans": "images have 3 channels; for gray images use the augmentation to_gray",
    "min_size": "set model.input_size",
    "max_size": "set model.input_size",
    "size": "set model.input_size",
}


@dataclass(frozen=True)
class Network:
    """A model with the colour statistics that its input must be normalised with.

    A classifier maps float32 (N, 3, input_size, input_size) to logits (N, classes). For a detector's inputs and outputs
    see `detectors.families`; its mean is 0 and its std 1, because it normalises images itself.
    """

    module: nn.Module
    mean: tuple[float, ...]  # per channel, for values in 0..1
    std: tuple[float, ...]


def build_network(config: ModelConfig, classes: int) -> Network:
    """Builds a classifier with random initial weights (torch's generator) or downloaded pretrained weights; a
    pretrained head for another number of classes is dropped.

    Raises ModelError if the name, options or input size cannot be built or the weights cannot be downloaded.
    """
    _check_options(config)
    if config.name in plugin_names(MODELS_GROUP):
        network = _plugin_network(config, classes, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    else:
        network = _timm_network(config.model_copy(update={"name": resolve_model(config.name)}), classes)
    _try_classifier(network.module, config, classes)
    return network


def build_detection_network(config: ModelConfig, classes: int) -> Network:
    """Builds a detector for classes numbered from 0. Raises ModelError as `build_network` does."""
    from mitorch_service.training.networks.detectors.families import build_detector

    _check_options(config)
    if config.name in plugin_names(MODELS_GROUP):
        network = _plugin_network(config, classes, (0.0,) * 3, (1.0,) * 3)
    else:
        name = _detector_name(config.name)
        try:
            network = Network(build_detector(name, config, classes), (0.0,) * 3, (1.0,) * 3)
        except ModelError:
            raise
        except Exception as error:  # torchvision and timm pass on whatever their models and downloads raise
            raise _build_error(config, error, "torchvision") from error
    _try_detector(network.module, config)
    return network


def has_batch_norm(module: nn.Module) -> bool:
    """Whether training computes batch statistics, which need more than one image per batch."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
    return any(isinstance(part, kinds) for part in module.modules())


def _check_options(config: ModelConfig) -> None:
    for option in _OURS.keys() & config.options.keys():
        raise ModelError(f"model.options.{option} cannot be set: {_OURS[option]}.")


def _timm_network(config: ModelConfig, classes: int) -> Network:
    if ":" not in config.name and not timm.is_model(config.name):
        names = frozenset(timm.list_models(include_tags=False))
        raise ModelError(f"timm has no model {config.name!r}: {nearest_models(config.name, names)}")
    try:
        arguments: dict[str, Any] = {**_image_size(config), **config.options}
        module: Any = timm.create_model(
            config.name, pretrained=fetches(config.pretrained), num_classes=classes, **arguments
        )
    except Exception as error:  # timm passes on whatever its models and the hub's client raise
        raise _build_error(config, error, "timm") from error
    colours = module.pretrained_cfg
    return Network(module, tuple(colours["mean"]), tuple(colours["std"]))


def _detector_name(name: str) -> DetectorName:
    parsed = parse_detector(resolve_model(name))
    problem = unknown_model_problem(name, DETECTION)
    if parsed is None or problem is not None:
        raise ModelError(problem or f"no detector is called {name!r}.")
    return parsed


def _build_error(config: ModelConfig, error: Exception, library: str) -> ModelError:
    if config.pretrained and isinstance(error, OSError):
        return ModelError(
            f"The pretrained weights of {config.name} cannot be downloaded ({_first_line(error)}). "
            "Connect this machine to the hub, or set model.pretrained to false and start from your own weights "
            "(base, or -w)."
        )
    given = f" with options {config.options}" if config.options else ""
    return ModelError(f"{library} cannot build {config.name}{given}: {_first_line(error)}")


def _image_size(config: ModelConfig) -> dict[str, int]:
    """Returns `img_size` for models with position embeddings of a fixed size; other models refuse the argument."""
    if ":" in config.name:  # a hub's model: its config is not known before the download
        return {}
    known = timm.get_pretrained_cfg(config.name, allow_unregistered=True)
    return {"img_size": config.input_size} if known and known.fixed_input_size else {}


def _plugin_network(config: ModelConfig, classes: int, mean: tuple[float, ...], std: tuple[float, ...]) -> Network:
    """Calls the package's function, which returns a Network, or a module with the task's default statistics."""
    try:
        asked = config.model_copy(update={"pretrained": fetches(config.pretrained)})
        built = load_plugin(MODELS_GROUP, config.name)(asked, classes)
    except ModelError:
        raise
    except Exception as error:  # third-party code can fail in any way
        raise _build_error(config, error, "the package that registers it") from error
    return built if isinstance(built, Network) else Network(built, mean, std)


def _try_classifier(module: nn.Module, config: ModelConfig, classes: int) -> None:
    """Runs one blank image, so that a wrong input size or output shape is reported before any data is read."""
    with _input_size_errors(config), torch.inference_mode():
        shape = tuple(module.eval()(torch.zeros(1, 3, config.input_size, config.input_size)).shape)
    if shape != (1, classes):
        raise ModelError(
            f"{config.name} returns values of shape {shape} for one image, not (1, {classes}): as configured, it is "
            f"not a classifier. Choose another model or other options (now {config.options})."
        )


def _try_detector(module: nn.Module, config: ModelConfig) -> None:
    """Runs one blank image. Not in inference mode, because a detector caches its anchors between calls."""
    with _input_size_errors(config), torch.no_grad():
        found: list[dict[str, Tensor]] = module.eval()([torch.zeros(3, config.input_size, config.input_size)])
    if not isinstance(found, list) or not {"boxes", "scores", "labels"} <= found[0].keys():
        raise ModelError(
            f"{config.name} does not return boxes, scores and labels for an image: it is not a detector. "
            "Choose another model."
        )


@contextmanager
def _input_size_errors(config: ModelConfig) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, AssertionError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{config.name} cannot take images of {config.input_size} pixels ({_first_line(error)}). "
            "Use another model.input_size."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
