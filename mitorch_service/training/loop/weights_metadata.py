"""Describes the weights of a training for those who use them."""

from __future__ import annotations

from collections.abc import Sequence

from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.weights_metadata import Preprocessing, WeightsMetadata
from mitorch_service.training.augmentation.pipeline import steps_for
from mitorch_service.training.data.class_order import in_class_order
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.targets import Kind
from mitorch_service.training.networks.network import Network
from mitorch_service.training.networks.weights import Weights

_SHOWN = 10  # classes that a remark names


def describe_weights(config: TrainingConfig, network: Network, train: ImageList) -> WeightsMetadata:
    """Returns the metadata of the network that is trained on `train`."""
    return WeightsMetadata(
        task_type=config.task_type,
        classes=train.classes,
        classes_named=train.classes_named,
        config=config.model_dump(mode="json", exclude_unset=True),  # what is unset depends on the task, or on the data
        preprocessing=preprocessing_of(config, network, train.kind),
    )


def preprocessing_of(config: TrainingConfig, network: Network, kind: Kind) -> Preprocessing:
    """Returns the preparation of images of this kind of data for the network."""
    return Preprocessing(
        input_size=config.model.input_size,
        transforms=[step.model_dump(mode="json") for step in steps_for(config.augmentation, kind, "val")],
        mean=network.mean,
        std=network.std,
    )


def other_classes(weights: Weights, train: ImageList) -> str:
    """Returns a remark if the weights are of other classes, or number them otherwise, than `train`; else an empty
    one."""
    metadata = weights.metadata
    if metadata is None or metadata.classes == train.classes or not (metadata.classes_named and train.classes_named):
        return ""
    if not _are_the_same(metadata.classes, train.classes):
        return ". They are of other classes"
    order = ", ".join(metadata.classes[:_SHOWN]) + ", …" * (len(metadata.classes) > _SHOWN)
    return f". They have the same classes in another order, in which the training numbers them: {order}"


def numbered_alike(weights: Weights, data: ImageList, source: str) -> ImageList:
    """Returns the data with its classes numbered as the weights from `source` do, so that each output stays that of its
    class; unchanged if the weights are of other classes or do not name them."""
    metadata = weights.metadata
    if metadata is None or not (metadata.classes_named and data.classes_named):
        return data
    if not _are_the_same(metadata.classes, data.classes):
        return data
    return in_class_order(data, metadata.classes, named=True, source=source)[0]


def _are_the_same(classes: Sequence[str], others: Sequence[str]) -> bool:
    """Whether both have the same classes, in whatever order, and none twice."""
    return set(classes) == set(others) and len(classes) == len(others) == len(set(classes))
