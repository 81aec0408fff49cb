"""Builds a few of the detectors; with ``MITORCH_ALL_DETECTORS=1`` in the environment, all of them."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models import detection

from mitorch_service.errors import ModelError
from mitorch_service.models.config.training_config import ModelConfig
from mitorch_service.training.data.batches.batch import BoxTarget
from mitorch_service.training.networks.detectors.detector_names import detector_names, parse_detector
from mitorch_service.training.networks.detectors.families import build_detector
from mitorch_service.training.networks.fitting import load_fitting
from mitorch_service.training.networks.network import build_detection_network
from tests.unit.training.shapes import draw_shapes

_FEW = (
    "test_resnet-fpn-fasterrcnn",
    "test_resnet-fpn_v2-fasterrcnn",
    "test_efficientnet-fpn_v2-retinanet",
    "test_resnet-fpn-fcos",
    "test_resnet-ssdlite",
    "mobilenet_v3_small-fcos",
)
_NAMES = (*_FEW, *detector_names()) if os.environ.get("MITORCH_ALL_DETECTORS") else _FEW
_CHEAP = {"box_batch_size_per_image": 8, "rpn_post_nms_top_n_train": 20, "rpn_post_nms_top_n_test": 20}


def config(name: str, size: int = 96, **options: Any) -> ModelConfig:
    cheap = _CHEAP if "fasterrcnn" in name else {}
    return ModelConfig(name=name, input_size=size, options={**cheap, **options})


@pytest.mark.parametrize("name", _NAMES)
def test_builds_and_runs_forward_and_backward(name: str) -> None:
    torch.manual_seed(0)
    network = build_detection_network(config(name), 3)
    drawings = draw_shapes(5, 96, seed=1)[3:]  # the second is a clean image
    losses: dict[str, Tensor] = network.module.train()([one.tensor for one in drawings], [d.target for d in drawings])
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert all(loss.isfinite() for loss in losses.values())
    assert [n for n, one in network.module.named_parameters() if one.requires_grad and one.grad is None] == []
    with torch.no_grad():
        found = network.module.eval()([one.tensor for one in drawings])
    assert all(set(one["labels"].tolist()) <= {0, 1, 2} for one in found)


def test_the_first_stage_of_faster_rcnn_has_one_map_and_weighted_losses() -> None:
    """As TensorFlow's configs say it: first_stage_features_stride and the weights of its two losses."""
    drawings = draw_shapes(1, 96, seed=1)
    images, targets = [one.tensor for one in drawings], [one.target for one in drawings]

    def losses(**options: Any) -> tuple[Any, dict[str, Tensor]]:
        torch.manual_seed(0)
        module = build_detection_network(config("test_resnet-fpn-fasterrcnn", feature_stride=16, **options), 3).module
        torch.manual_seed(0)
        return module.train(), module(images, targets)

    module, plain = losses()
    maps = module.backbone(torch.zeros(1, 3, 96, 96))
    assert [tuple(one.shape[2:]) for one in maps.values()] == [(6, 6)]
    _, weighted = losses(rpn_localization_loss_weight=2.0, rpn_objectness_loss_weight=0)
    assert weighted["loss_rpn_box_reg"].item() == pytest.approx(2 * plain["loss_rpn_box_reg"].item())
    assert weighted["loss_objectness"] == 0
    assert weighted["loss_classifier"] == plain["loss_classifier"]
    torch.stack(list(plain.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert [n for n, one in module.named_parameters() if one.requires_grad and one.grad is None] == []


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("test_resnet-fpn-fasterrcnn", {"feature_stride": 12}, "'feature_stride' is 12; known: 4, 8, 16, 32"),
        ("mobilenet_v3_small-fasterrcnn", {"feature_stride": 16}, "is for those with fpn"),
        ("test_resnet-fpn-fasterrcnn", {"rpn_objectness_loss_weight": -1}, "must be a number from 0"),
        ("test_resnet-fpn-fasterrcnn", {"rpn_max_proposals": "x"}, "must be a number from 1"),
        ("test_resnet-fpn-retinanet", {"feature_stride": 16}, "has no option 'feature_stride'"),
    ],
)
def test_a_first_stage_that_there_is_not_is_refused(name: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        build_detection_network(ModelConfig(name=name, input_size=96, options=options), 3)


@pytest.mark.parametrize(
    ("name", "theirs", "size"),
    [
        ("resnet50-fpn-fasterrcnn", detection.fasterrcnn_resnet50_fpn, 800),
        ("fasterrcnn_resnet50_fpn_v2", detection.fasterrcnn_resnet50_fpn_v2, 800),
        ("mobilenet_v3_large-fpn-fasterrcnn", detection.fasterrcnn_mobilenet_v3_large_fpn, 800),
        ("resnet50-fpn-retinanet", detection.retinanet_resnet50_fpn, 800),
        ("retinanet_resnet50_fpn_v2", detection.retinanet_resnet50_fpn_v2, 800),
        ("resnet50-fpn-fcos", detection.fcos_resnet50_fpn, 800),
        ("ssd300_vgg16", detection.ssd300_vgg16, 300),
        ("ssdlite320_mobilenet_v3_large", detection.ssdlite320_mobilenet_v3_large, 320),
    ],
)
def test_has_the_weights_and_anchors_that_torchvision_has(name: str, theirs: Any, size: int) -> None:
    parsed = parse_detector(name)
    assert parsed is not None
    with torch.device("meta"):  # shapes only
        own = build_detector(parsed, ModelConfig(name=name, input_size=size), 90)
        background = 0 if parsed.family in ("retinanet", "fcos") else 1
        other = theirs(weights=None, weights_backbone=None, num_classes=90 + background)
    shapes = {key: value.shape for key, value in own.state_dict().items()}
    assert shapes == {key: value.shape for key, value in other.state_dict().items()}
    for generator in ("anchor_generator", "rpn.anchor_generator"):
        try:
            mine, yours = own.get_submodule(generator), other.get_submodule(generator)
        except AttributeError:
            continue
        assert {key: getattr(mine, key, None) for key in ("sizes", "aspect_ratios", "scales", "steps")} == {
            key: getattr(yours, key, None) for key in ("sizes", "aspect_ratios", "scales", "steps")
        }


def test_the_background_stays_inside() -> None:
    """Class 0 of the user is class 1 of a detector with a background; the caller's targets stay as they are."""
    seen: list[Tensor] = []
    module: Any = build_detection_network(config("test_resnet-ssdlite", 64), 3).module

    def compute_loss(targets: list[BoxTarget], *_: object) -> dict[str, Tensor]:
        seen.append(targets[0]["labels"])
        return {"loss": torch.zeros(())}

    module.compute_loss = compute_loss
    drawing, other = draw_shapes(2)
    module.train()([drawing.tensor, other.tensor], [drawing.target, other.target])
    assert seen[0].tolist() == [label + 1 for label in drawing.labels]
    assert min(drawing.target["labels"].tolist()) >= 0


@pytest.mark.parametrize("name", ["test_resnet-ssdlite", "test_resnet-fpn-fcos"])
def test_boxes_are_in_the_pixels_given(name: str) -> None:
    """Whatever size the detector scales to itself."""
    module = build_detection_network(config(name, 64, score_thresh=0.0), 2).module.eval()
    with torch.no_grad():
        found = module([torch.rand(3, 100, 200), torch.rand(3, 30, 20)])
    for one, (height, width) in zip(found, [(100, 200), (30, 20)], strict=True):
        assert len(one["boxes"])
        assert one["boxes"][:, 2].max() <= width + 1e-3
        assert one["boxes"][:, 3].max() <= height + 1e-3
    assert found[0]["boxes"][:, 2].max() > 64


def test_anchor_size_is_that_of_the_finest_map() -> None:
    module: Any = build_detection_network(config("test_resnet-fpn-retinanet", 64, anchor_size=8), 2).module
    assert [sizes[0] for sizes in module.anchor_generator.sizes] == [8, 16, 32, 64, 128]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "test_vit-fpn-retinanet"}, r"feature maps of stride 16, but 8, 16, 32 are needed"),
        ({"name": "test_resnet"}, "'test_resnet' is a classifier, not a detector; did you mean 'test_resnet-fpn-"),
        ({"name": "resnet50-fpn-fasterrcn"}, "there is no detector .*did you mean 'resnet50-fpn-fasterrcnn'"),
        ({"name": "resnet5-fpn-retinanet"}, "there is no backbone 'resnet5'; did you mean 'resnet5"),
        ({"name": "EfficientDetD3"}, "did you mean 'efficientnet_b3-fpn-retinanet'"),
        ({"options": {"min_size": 3}}, r"min_size cannot be set: set model\.input_size"),
        ({"options": {"nms_tresh": 1}}, "test_resnet-ssdlite has no option 'nms_tresh'; did you mean 'nms_thresh'"),
        ({"name": "test_resnet-fpn-fcos", "options": {"anchor_size": 8}}, "has no option 'anchor_size'"),
        ({"name": "test_resnet-fpn-fcos", "options": {"trainable_backbone_layers": 1}}, "has no option 'trainable_"),
    ],
)
def test_what_cannot_be_built_is_told(fields: dict[str, Any], message: str) -> None:
    given = ModelConfig.model_validate({"name": "test_resnet-ssdlite", "input_size": 64, **fields})
    with pytest.raises(ModelError, match=message):
        build_detection_network(given, 2)


@pytest.mark.parametrize(
    ("classifier", "detector"),
    [
        ("test_resnet", "test_resnet-fpn-fcos"),
        ("test_convnext", "test_convnext-ssdlite"),
        ("resnet18", "resnet18-fpn-fcos"),
    ],
)
def test_a_classifiers_backbone_starts_a_detector(classifier: str, detector: str) -> None:
    from mitorch_service.training.networks.network import build_network

    base = build_network(ModelConfig(name=classifier, input_size=64), 7).module
    module = build_detection_network(config(detector, 64), 3).module
    fit = load_fitting(module, base.state_dict(), "base")
    assert [name for name in fit.missing if "backbone.body" in name] == []
    assert fit.loaded > 50
    assert "head.classification_head" in str(fit)  # what keeps its initial values is named
    back = load_fitting(base, module.state_dict(), "detector")
    assert back.loaded == fit.loaded
