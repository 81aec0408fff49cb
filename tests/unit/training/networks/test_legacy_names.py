from __future__ import annotations

import pytest

from mitorch_service.training.networks.detectors.detector_names import detector_names, parse_detector
from mitorch_service.training.networks.legacy_names import equivalent, nearest_to_original
from mitorch_service.training.networks.model_names import (
    list_models,
    registered_names,
    resolve_model,
    unknown_model_problem,
)

_CLASSIFIERS = [
    "ConvMixer-1536/20",
    "ConvMixer-768/32",
    "Darknet19",
    "TinyDarknet",
    *(f"EfficientNetB{size}" for size in range(8)),
    "MobileNetV2",
    "MobileNetV3",
    "MobileNetV3Small",
    *(f"{squeeze}ResNext{depth}" for squeeze in ("", "SE") for depth in (14, 26, 50, 101)),
    "ShuffleNet",
    "ShuffleNetV2",
    "SqueezeNet",
    "VGG16",
]


@pytest.mark.parametrize("name", _CLASSIFIERS)
def test_each_classifier_resolves_or_its_nearest_are_named(name: str) -> None:
    if (ours := equivalent(name)) is not None:
        assert ours in registered_names()
        assert unknown_model_problem(name) is None
    else:
        assert set(nearest_to_original(name)) <= registered_names()
        assert f"did you mean '{nearest_to_original(name)[0]}' or" in str(unknown_model_problem(name))


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("MobileNetV2-SSDLite", "mobilenet_v2-ssdlite"),
        ("MobileNetV3-SSDLite", "mobilenet_v3_large-ssdlite"),
        ("EfficientNetB0-SSDLite", "efficientnet_b0-ssdlite"),
        ("ResNext50-FPN-RetinaNet", "resnext50_32x4d-fpn-retinanet"),
        ("MobileNetV2-FPN-RetinaNet", "mobilenetv2_100-fpn-retinanet"),
    ],
)
def test_detectors_resolve(name: str, ours: str) -> None:
    assert resolve_model(name) == ours
    assert unknown_model_problem(name, "object_detection") is None


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("MobileNetV2-FPNLite-SSDLite", "mobilenetv2_100-ssdlite"),
        ("MobileNetV2-MnasFPN-RetinaNetLite", "mobilenetv2_100-fpn-retinanet"),
        ("MobileNetV2-Sigmoid-SSDLite", "mobilenetv2_100-ssdlite"),
        ("ShuffleNetV2-SSDLite", "mobilenetv2_100-ssdlite"),
        ("EfficientDetD7", "efficientnet_b7-fpn-retinanet"),
        ("TinyYoloV2", "mobilenet_v2-ssdlite"),
    ],
)
def test_what_has_no_equivalent_names_the_nearest(name: str, near: str) -> None:
    assert equivalent(name) is None
    assert f"did you mean '{near}'" in str(unknown_model_problem(name, "object_detection"))
    assert unknown_model_problem(near, "object_detection") is None


def test_names_are_taken_apart_and_put_together() -> None:
    assert [str(parse_detector(name)) for name in detector_names()] == list(detector_names())
    assert str(parse_detector("fasterrcnn_mobilenet_v3_large_320_fpn")) == "mobilenet_v3_large-fpn-fasterrcnn"
    for none in ("resnet50", "resnet50-fpn_v2-fcos", "resnet50-fpn-ssd", "vgg16-fpn-retinanet", "resnet50-retinanet"):
        assert parse_detector(none) is None


def test_the_wrong_kind_of_model_for_the_task() -> None:
    assert "is a detector, not a classifier" in str(unknown_model_problem("resnet50-fpn-fcos"))
    assert "is a classifier, not a detector" in str(unknown_model_problem("resnet50", "object_detection"))


def test_models_are_listed_by_pattern() -> None:
    assert list_models("vgg16-SSD") == ["vgg16-ssd"]
    assert {"resnet18", "resnet18-fpn-fcos"} <= set(list_models("resnet18"))
    assert list_models("resnet18*fcos") == ["resnet18-fpn-fcos"]
    assert list_models("EfficientNetB0-FPN-RetinaNet") == ["efficientnet_b0-fpn-retinanet"]
    assert "efficientnet_b0" in list_models("EfficientNetB0")
    assert list_models("qqq") == []
