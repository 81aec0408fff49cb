"""Describes the weights of a training for those who use them."""

from __future__ import annotations

from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.weights_metadata import Preprocessing, WeightsMetadata
from mitorch_service.training.augmentation.pipeline import steps_for
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.networks.network import Network
from mitorch_service.training.networks.weights import Weights


def describe_weights(config: TrainingConfig, network: Network, train: ImageList) -> WeightsMetadata:
    """Returns the metadata of the network that is trained on `train`."""
    preprocessing = Preprocessing(
        input_size=config.model.input_size,
        transforms=[step.model_dump(mode="json") for step in steps_for(config.augmentation, train.kind, "val")],
        mean=network.mean,
        std=network.std,
    )
    return WeightsMetadata(
        task_type=config.task_type,
        classes=train.classes,
        classes_named=train.classes_named,
        config=config.model_dump(mode="json", exclude_unset=True),  # what is unset depends on the task, or on the data
        preprocessing=preprocessing,
    )


def other_classes(weights: Weights, train: ImageList) -> str:
    """Returns a remark if the weights are of other classes, or number them otherwise, than `train`; else an empty
    one."""
    metadata = weights.metadata
    if metadata is None or metadata.classes == train.classes or not (metadata.classes_named and train.classes_named):
        return ""
    same = set(metadata.classes) == set(train.classes)
    return f". They are of {'the same classes in another order' if same else 'other classes'}"
