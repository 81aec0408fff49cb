"""An exported network gives what the network gives, and says what it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from mitorch_service.errors import InvalidInput, ModelError
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.image_list import PackedStrings
from mitorch_service.training.export.comparison import largest_difference
from mitorch_service.training.export.exporting import export_model
from mitorch_service.training.export.onnx_file import open_onnx
from mitorch_service.training.export.portable_modules import PortableDetector, traceable_suppression
from mitorch_service.training.export.torchscript_file import open_torchscript
from mitorch_service.training.networks.network import Network
from mitorch_service.training.optimization.precision import Precision
from mitorch_service.training.prediction.model import Model
from mitorch_service.training.prediction.outcomes import Boxing, Labelling
from mitorch_service.training.prediction.unlabelled_images import validation_augmentation
from mitorch_service.training.tasks.base import open_task

_CPU = torch.device("cpu")
_CLASSES = ("cat", "dög", "owl")
_SIZE = 16
_TIMM = (
    *("resnet18", "mobilenetv3_small_100", "efficientnet_b0", "convnext_atto", "vit_tiny_patch16_224"),
    *("deit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "regnety_002", "densenet121", "mixer_s32_224"),
    *("repvgg_a0", "maxvit_nano_rw_256"),
)


def _model(task_type: str = "multiclass_classification", module: nn.Module | None = None, **config: Any) -> Model:
    """A model of a few weights, or of a module."""
    torch.manual_seed(0)
    last = nn.Linear(16, 3)
    last.weight.data *= 20  # so that scores differ
    small = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), last)
    fields = {"model": {"name": "test_resnet", "input_size": _SIZE}, "augmentation": {"val": "resize"}, **config}
    checked = TrainingConfig.model_validate({**fields, "task_type": task_type})
    return Model(
        config=checked,
        classes=_CLASSES,
        kind="multilabel" if task_type.startswith("multilabel") else "multiclass",
        network=Network((module or small).eval(), (0.5, 0.4, 0.3), (0.2, 0.2, 0.2)),
        device=_CPU,
        precision=Precision(checked.precision, _CPU),
        outcomes=Labelling(task_type, _CLASSES),
        threshold=0.25,
    )


def _prepared(pictures: Sequence[Image.Image], metadata: dict[str, str]) -> Tensor:
    """The input as another program makes it, from the metadata alone."""
    known = json.loads(metadata["preprocessing"])
    assert known["transforms"] == [{"name": "resize", "options": {}}]
    mean, std = (torch.tensor(known[name]).view(3, 1, 1) for name in ("mean", "std"))
    assert all(picture.size == (known["input_size"],) * 2 for picture in pictures)
    pixels = [torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255 for picture in pictures]
    return torch.stack([(one - mean) / std for one in pixels])


def _pictures(count: int) -> list[Image.Image]:
    numbers = np.random.default_rng(1)
    return [
        Image.fromarray(numbers.integers(0, 255, (_SIZE, _SIZE, 3)).astype(np.uint8) // (place + 1))
        for place in range(count)
    ]


def _check_scores(model: Model, scores: Tensor, pictures: Sequence[Image.Image]) -> None:
    found = model.predict([np.array(picture) for picture in pictures], threshold=0.0, top=3)
    for row, one in zip(scores, found, strict=True):
        expected = {label.class_name: label.score for label in one.labels}
        assert row.tolist() == pytest.approx([expected[name] for name in model.classes], abs=1e-5)


def test_onnx_gives_the_predictions_and_says_what_it_is(tmp_path: Path) -> None:
    import onnx

    model = _model("multilabel_classification")
    done = export_model(model, "onnx", tmp_path / "m.onnx", dynamic_batch=True)
    assert done.images == 4
    assert done.difference < 1e-5
    metadata = {one.key: one.value for one in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert (metadata["task_type"], json.loads(metadata["classes"])) == ("multilabel_classification", list(_CLASSES))
    assert (metadata["threshold"], metadata["model"]) == ("0.25", "test_resnet")
    pictures = _pictures(5)
    (scores,) = open_onnx(tmp_path / "m.onnx")(_prepared(pictures, metadata))
    _check_scores(model, scores, pictures)
    assert [path.name for path in tmp_path.glob("*m.onnx*")] == ["m.onnx"]


@pytest.mark.filterwarnings("ignore:.torch.jit.load. is:FutureWarning")
def test_torchscript_gives_the_predictions_and_says_what_it_is(tmp_path: Path) -> None:
    model = _model()
    paths = []
    for place, picture in enumerate(_pictures(3)):
        picture.save(tmp_path / f"{place}.png")
        paths.append(str(tmp_path / f"{place}.png"))
    assert export_model(model, "torchscript", tmp_path / "m.pt", images=PackedStrings(paths)).images == 3
    metadata: dict[str, Any] = dict.fromkeys(
        ("task_type", "classes", "preprocessing", "threshold", "model", "mitorch_service"), ""
    )
    torch.jit.load(tmp_path / "m.pt", _extra_files=metadata)  # type: ignore[no-untyped-call]
    texts = {key: value.decode() if isinstance(value, bytes) else value for key, value in metadata.items()}
    assert json.loads(texts["classes"]) == list(_CLASSES)
    (scores,) = open_torchscript(tmp_path / "m.pt")(_prepared(_pictures(1), texts))
    _check_scores(model, scores, _pictures(1))


class _Forgetful(nn.Module):
    """Gives something else when it is traced than it gives afterwards, as code with a branch in Python does."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        return images.mean((2, 3)) * (1.0 if self.calls > 1 else -9.0)


def test_a_file_that_gives_something_else_is_removed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"differs from the network by 0\.\d+ on 4 images, more than 0\.001"):
        export_model(_model(module=_Forgetful()), "torchscript", tmp_path / "m.pt")
    assert list(tmp_path.glob("*m.pt*")) == []


class _Untraceable(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raise ValueError("no way to trace this\nwith pages of advice")


def test_a_network_that_cannot_be_exported_is_told(tmp_path: Path) -> None:
    reason = r"cannot be exported to torchscript: ValueError: no way to trace this\. Try --to onnx, or another model"
    with pytest.raises(ModelError, match=reason):
        export_model(_model(module=_Untraceable()), "torchscript", tmp_path / "m.pt")
    assert list(tmp_path.glob("*m.pt*")) == []


def test_what_cannot_be_checked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"None of the images .* can be read"):
        export_model(_model(), "torchscript", tmp_path / "m.pt", images=PackedStrings([str(tmp_path / "gone.png")]))


def _detector(name: str) -> Model:
    fields = {"model": {"name": name, "input_size": 64}, "task_type": "object_detection"}
    config = TrainingConfig.model_validate({**fields, "augmentation": {"val": "letterbox"}})
    torch.manual_seed(0)
    network = open_task(config.task_type).build_network(config.model, len(_CLASSES))
    for part, module in network.module.named_modules():  # so that scores differ, as after a training
        if "cls" in part or "classification" in part:
            for weight in module.parameters(recurse=False):
                weight.data *= 4
    augmentation = validation_augmentation(config, network, "detection")
    return Model(
        config=config,
        classes=_CLASSES,
        kind="detection",
        network=Network(network.module.eval(), network.mean, network.std),
        device=_CPU,
        precision=Precision(config.precision, _CPU),
        outcomes=Boxing(_CLASSES, augmentation),
        threshold=0.5,
    )


def test_a_detector_takes_one_image_and_gives_its_boxes(tmp_path: Path) -> None:
    model = _detector("test_resnet-ssdlite")
    assert export_model(model, "torchscript", tmp_path / "m.pt").difference < 1e-5
    with pytest.raises(InvalidInput, match="--dynamic-batch: is for classifiers"):
        export_model(model, "torchscript", tmp_path / "n.pt", dynamic_batch=True)
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = PortableDetector(model.module)(images)
        with traceable_suppression(64):
            found = PortableDetector(model.module)(images)
    assert len(expected[1]) > 10
    assert largest_difference(found, expected, 64) < 1e-5
    assert largest_difference(open_torchscript(tmp_path / "m.pt")(images), expected, 64) < 1e-5


def test_differences_of_boxes_do_not_depend_on_their_order() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    one = (boxes, torch.tensor([0.9, 0.8]), torch.tensor([0, 1]))
    turned = tuple(part.flip(0) for part in one)
    assert largest_difference(turned, one, 100) == 0
    assert largest_difference((boxes + 1, *one[1:]), one, 100) == pytest.approx(0.01)
    assert largest_difference((boxes, one[1] - 0.2, one[2]), one, 100) == pytest.approx(0.2)
    assert largest_difference((boxes, one[1], one[2] + 1), one, 100) == float("inf")
    fewer = tuple(part[:1] for part in one)
    assert largest_difference(fewer, one, 100) == float("inf")
    assert largest_difference(fewer, one, 100, least=0.85) == 0
    assert largest_difference(tuple(part[:0] for part in one), one, 100) == float("inf")
    assert largest_difference([torch.tensor([[float("nan")]])], [torch.zeros(1, 1)], 100) == float("inf")


@pytest.mark.long
@pytest.mark.parametrize("name", _TIMM)
def test_models_of_timm_become_onnx_for_any_number_of_images(name: str, tmp_path: Path) -> None:
    fields = {"name": name, "input_size": 256 if "256" in name else 224}
    config = TrainingConfig.model_validate({"model": fields})
    torch.manual_seed(0)
    module = open_task(config.task_type).build_network(config.model, len(_CLASSES)).module
    model = _model(module=module, model=fields)
    assert export_model(model, "onnx", tmp_path / "m.onnx", dynamic_batch=True).difference < 1e-4
