from __future__ import annotations

from typing import Any

import pytest
import torch

from mitorch_service.errors import ModelError
from mitorch_service.models.config.training_config import ModelConfig
from mitorch_service.training.networks.network import build_network, has_batch_norm


def config(name: str, **fields: Any) -> ModelConfig:
    return ModelConfig.model_validate({"name": name, "input_size": 32, **fields})


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_efficientnet"])
def test_builds_for_the_classes_and_the_input_size(name: str) -> None:
    network = build_network(config(name), 7)
    assert network.module(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert (len(network.mean), len(network.std)) == (3, 3)
    assert has_batch_norm(network.module) == (name != "test_vit")


def test_options_reach_the_model() -> None:
    assert build_network(config("test_resnet", options={"drop_rate": 0.25}), 2).module.drop_rate == 0.25


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "resnet81"}, "timm has no model 'resnet81': did you mean 'resnet18' "),
        ({"name": "???"}, r"list them with: mitrain --list-models"),
        ({"name": "resnet18.nonsense"}, r"timm cannot build resnet18\.nonsense: Invalid pretrained tag"),
        ({"options": {"drop_rat": 1}}, r"with options {'drop_rat': 1}: .*unexpected keyword argument 'drop_rat'"),
        ({"options": {"num_classes": 3}}, "num_classes cannot be set: it is the data set's number of classes"),
        ({"options": {"img_size": 64}}, r"img_size cannot be set: set model\.input_size"),
        ({"name": "test_convnext", "input_size": 8}, "test_convnext cannot take images of 8 pixels"),
        ({"name": "test_vit", "input_size": 40}, "test_vit cannot take images of 40 pixels|timm cannot build"),
    ],
)
def test_what_cannot_be_built_is_told(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_network(config(**{"name": "test_resnet", **fields}), 2)


def test_weights_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        ModelError, match=r"weights of test_resnet cannot be downloaded .*set model\.pretrained to false"
    ):
        build_network(config("test_resnet", pretrained=True), 2)
