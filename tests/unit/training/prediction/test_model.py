"""A model predicts what an evaluation measures, and tells what it cannot read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mitorch_service.errors import DataError, InvalidInput, ModelError
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.targets import ClassSetTargets
from mitorch_service.training.loop.distributed import Processes
from mitorch_service.training.loop.evaluation import Validation, evaluate, task_for
from mitorch_service.training.loop.feed import open_feed
from mitorch_service.training.loop.reporter import NullReporter
from mitorch_service.training.loop.weights_metadata import describe_weights
from mitorch_service.training.networks.downloads import no_downloads
from mitorch_service.training.networks.fitting import load_all
from mitorch_service.training.networks.weights import read_weights, save_weights
from mitorch_service.training.optimization.precision import Precision
from mitorch_service.training.plots.predictions import Row
from mitorch_service.training.prediction.loading import load_model
from mitorch_service.training.prediction.unlabelled_images import validation_augmentation
from mitorch_service.training.tasks.base import Evaluator, open_task
from mitorch_service.training.tasks.classification import LogitsEvaluator
from mitorch_service.training.tasks.evaluated_images import EvaluatedImages
from tests.unit.training.pictures import write_colors
from tests.unit.training.shapes import draw_shapes, write_detection

_TINY = {"name": "test_resnet", "input_size": 32}


def _config(**changes: Any) -> TrainingConfig:
    fields = {"model": _TINY, "augmentation": {"train": "resize", "val": "center_crop"}, "batch_size": 4, **changes}
    return TrainingConfig.model_validate(fields)


def _save(config: TrainingConfig, data: ImageList, path: Path, **changes: Any) -> Path:
    """Weights of a network that was not trained: its scores differ from image to image all the same."""
    torch.manual_seed(3)
    network = open_task(config.task_type).build_network(config.model, len(data.classes))
    for part in network.module.modules():
        if isinstance(part, torch.nn.Linear):
            part.weight.data *= 30  # so that scores differ
    metadata = describe_weights(config, network, data).model_copy(update=changes)
    save_weights(network.module.state_dict(), path, metadata)
    return path


def _evaluated(config: TrainingConfig, data: ImageList, weights: Path) -> Evaluator:
    """The evaluation of the weights, as `evaluate` runs it."""
    task, device = task_for(config, data), torch.device("cpu")
    network = task.build_network(config.model, len(data.classes))
    load_all(network.module, read_weights(weights).state_dict, str(weights))
    with open_feed(config, data, task, network, device, training=False) as feed:
        validation = Validation(config, task, network, data, feed, Processes(device=device), NullReporter())
        evaluator = validation.run(network.module, Precision(config.precision, device))
    assert evaluator is not None
    return evaluator


def _rows(evaluator: Evaluator) -> list[list[Row]]:
    """The predictions that an evaluation of a classifier writes, image by image."""
    assert isinstance(evaluator, LogitsEvaluator)
    (logits, targets, _), _ = evaluator.state()
    return evaluator.predictions(torch.cat(logits), torch.cat(targets))


def _paths(data: ImageList) -> list[str]:
    return [str(data.folder / image) for image in data.images]


@pytest.fixture
def colors_text(tmp_path: Path) -> Path:
    return write_colors(tmp_path, 9)


def test_multiclass_predictions_are_those_of_an_evaluation(colors_text: Path, tmp_path: Path) -> None:
    data, config = read_image_list(colors_text), _config()
    weights = _save(config, data, tmp_path / "m.pth")
    rows = [row for (row,) in _rows(_evaluated(config, data, weights))]
    found = load_model(weights).predict(_paths(data))
    assert [row.prediction for row in rows] == [one.labels[0].class_name for one in found]
    scores = [one.labels[0].score for one in found]
    assert scores == pytest.approx([row.probability for row in rows], abs=1e-6)
    assert len({round(score or 0, 4) for score in scores}) > 3
    assert all((one.width, one.height, one.boxes) == (9, 8, ()) for one in found)
    assert [one.path for one in found] == _paths(data)


def test_multilabel_predictions_are_those_of_an_evaluation(colors_text: Path, tmp_path: Path) -> None:
    data = read_image_list(colors_text).as_kind("multilabel")
    config = _config(task_type="multilabel_classification", eval_confidence=0.45)
    weights = _save(config, data, tmp_path / "m.pth")
    found = load_model(weights).predict(_paths(data))
    for rows, one in zip(_rows(_evaluated(config, data, weights)), found, strict=True):
        taken = {label.class_name: label.score for label in one.labels}
        assert taken == {row.prediction: pytest.approx(row.probability, abs=1e-6) for row in rows if row.prediction}
    assert 0 < sum(len(one.labels) for one in found) < 27
    everything = load_model(weights).predict(_paths(data)[:1], threshold=0.0)[0].labels
    assert len(everything) == 3
    assert [x.score for x in everything] == sorted((x.score or 0 for x in everything), reverse=True)


def test_boxes_are_those_of_an_evaluation_in_pixels_of_the_upright_image(tmp_path: Path) -> None:
    data = read_image_list(write_detection(tmp_path, draw_shapes(3)))
    turned = Image.open(tmp_path / "train" / "1.png")
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.resize((64, 32)).save(tmp_path / "train" / "1.png", exif=exif)
    config = _config(
        model={"name": "test_resnet-ssdlite", "input_size": 64, "options": {"score_thresh": 0.0}},
        task_type="object_detection",
        eval_confidence=0.0,
        augmentation={"train": "resize", "val": "letterbox"},
    )
    weights = _save(config, data, tmp_path / "m.pth", threshold=0.0)
    detections, *_ = _evaluated(config, data, weights).state()
    found = load_model(weights).predict(_paths(data))
    assert [(one.width, one.height) for one in found] == [(64, 64), (32, 64), (64, 64)]
    images = EvaluatedImages(data, range(3), validation_augmentation(config, load_model(weights).network, "detection"))
    for sample, (detection, one) in enumerate(zip(detections, found, strict=True)):
        corners = images.original(sample, detection["boxes"])
        assert len(one.boxes) == len(corners or ()) > 0
        for box, place in zip(one.boxes, detection["scores"].argsort(descending=True, stable=True), strict=True):
            assert box.class_name == data.classes[int(detection["labels"][place])]
            assert box.score == pytest.approx(float(detection["scores"][place]), abs=1e-6)
            assert [box.left, box.top, box.right, box.bottom] == pytest.approx((corners or [])[place], abs=1e-3)
    assert [len(one.boxes) for one in load_model(weights).predict(_paths(data), top=2)] == [2, 2, 2]
    assert load_model(weights).predict(_paths(data)[:1], threshold=1.0)[0].boxes == ()


def test_paths_pil_images_and_arrays_give_the_same(colors_text: Path, tmp_path: Path) -> None:
    data = read_image_list(colors_text)
    model = load_model(_save(_config(), data, tmp_path / "m.pth"))
    path = tmp_path / "train" / "4.png"
    pil = Image.open(path)
    given: Sequence[Any] = [path, str(path), pil, np.array(pil), pil.convert("RGBA")]
    found = model.predict(given, top=3)
    for one in found:
        assert [label.class_name for label in one.labels] == [label.class_name for label in found[0].labels]
        assert [label.score for label in one.labels] == pytest.approx([label.score for label in found[0].labels])
    assert [one.path for one in found] == [str(path), str(path), "", "", ""]
    assert len(found[0].labels) == 3
    grey = model.predict([np.full((5, 7), 100, np.uint8)])[0]
    assert (grey.width, grey.height) == (7, 5)


def test_an_image_in_memory_is_turned_as_its_file_is(colors_text: Path, tmp_path: Path) -> None:
    model = load_model(_save(_config(), read_image_list(colors_text), tmp_path / "m.pth"))
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 255, (20, 40, 3)).astype(np.uint8)
    for name in ("a.png", "a.tif", "a.webp"):
        Image.fromarray(pixels).save(tmp_path / name, exif=exif)
        opened = Image.open(tmp_path / name)
        one, other = model.predict([tmp_path / name, opened], top=3)
        assert (one.width, one.height) == (other.width, other.height) == (20, 40)
        assert [x.score for x in one.labels] == pytest.approx([x.score for x in other.labels])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([np.zeros((4, 4, 3), np.float32)], "images[0]: must be uint8, 0..255 (it is float32)"),
        ([np.zeros((4, 4, 4), np.uint8)], "must have the shape (height, width, 3)"),
        ([np.zeros((0, 4, 3), np.uint8)], "(it has (0, 4, 3))"),
        ([7], "it is a int"),
        ("a.png", "images: must be a list: ['a.png']"),
    ],
)
def test_images_that_cannot_be_right(colors_text: Path, tmp_path: Path, given: Any, words: str) -> None:
    model = load_model(_save(_config(), read_image_list(colors_text), tmp_path / "m.pth"))
    with pytest.raises(InvalidInput) as caught:
        model.predict(given)
    assert words in str(caught.value)


def test_damaged_images_are_left_out_and_told(colors_text: Path, tmp_path: Path) -> None:
    data = read_image_list(colors_text)
    model = load_model(_save(_config(), data, tmp_path / "m.pth"))
    for index in (1, 4, 5, 6, 7, 8):  # one in the first batch, all of the second and the third
        (tmp_path / "train" / f"{index}.png").write_bytes(b"no image")
    told: list[str] = []
    found = list(model.stream(PackedStrings(_paths(data)), told.append))
    assert [Path(one.path).name for one in found] == ["0.png", "2.png", "3.png"]
    assert [next(name for name in told if f"{index}.png" in name) for index in (1, 4, 8)] == [told[0], told[1], told[5]]
    assert len(told) == 6
    with pytest.raises(DataError, match=r"1\.png"):
        model.predict(_paths(data))
    assert list(model.stream(PackedStrings(_paths(data)[4:]), told.append)) == []
    assert model.predict([]) == []


def test_plain_weights_need_config_and_classes(colors_text: Path, tmp_path: Path) -> None:
    data, config = read_image_list(colors_text), _config()
    whole = _save(config, data, tmp_path / "m.pth")
    plain = tmp_path / "plain.pth"
    torch.save(torch.load(whole, weights_only=True)["state_dict"], plain)
    with pytest.raises(ModelError, match="without the config and the classes"):
        load_model(plain)
    with pytest.raises(ModelError, match="does not name its classes"):
        load_model(plain, config=config)
    with pytest.raises(ModelError, match="are not those of this config"):
        load_model(plain, config=config, classes=("a", "b"))
    image = _paths(data)[:1]
    expected = load_model(whole).predict(image)[0].labels[0].score
    assert load_model(plain, config=config, classes=data.classes).predict(image)[0].labels[0].score == expected
    with pytest.raises(ModelError, match="has 3 classes, but 2 are given"):
        load_model(whole, classes=("a", "b"))
    with pytest.raises(ModelError, match="is of task_type multiclass_classification, but"):
        load_model(whole, config=_config(task_type="multilabel_classification"))


def test_the_stored_threshold_is_the_default(colors_text: Path, tmp_path: Path) -> None:
    data = read_image_list(colors_text).as_kind("multilabel")
    config = _config(task_type="multilabel_classification")
    assert isinstance(data.targets, ClassSetTargets)
    assert load_model(_save(config, data, tmp_path / "a.pth")).threshold == 0.5
    model = load_model(_save(config, data, tmp_path / "b.pth", threshold=0.01))
    assert model.threshold == 0.01
    assert len(model.predict(_paths(data)[:1])[0].labels) == 3
    with pytest.raises(InvalidInput, match="threshold: must be from 0 to 1"):
        model.predict(_paths(data), threshold=50)
    with pytest.raises(InvalidInput, match="top: must be 1 or more"):
        model.predict(_paths(data), top=0)


def test_a_detector_that_pretraining_gives_other_layers_is_built_with_those(tmp_path: Path) -> None:
    """A whole last stage: the weights fit no other network."""
    data = read_image_list(write_detection(tmp_path, draw_shapes(1)))
    model = {"name": "mobilenet_v3_small-ssdlite", "input_size": 64, "pretrained": True}
    config = _config(task_type="object_detection", augmentation={"val": "resize"}, model=model)
    with no_downloads():  # instead of a machine with a network
        weights = _save(config, data, tmp_path / "m.pth")
    assert load_model(weights).classes == data.classes
    assert evaluate(config, data, weights, fast_dev_run=True).keys() >= {"val_loss", "mAP"}


def test_loading_downloads_nothing_and_draws_no_random_numbers(colors_text: Path, tmp_path: Path) -> None:
    data = read_image_list(colors_text)
    weights = _save(_config(), data, tmp_path / "m.pth")
    content = torch.load(weights, weights_only=True)
    content["config"]["model"]["pretrained"] = True  # what a training on a connected machine leaves
    torch.save(content, weights)
    torch.manual_seed(0)
    model = load_model(weights)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    assert drawn == torch.rand(1)
    assert torch.is_grad_enabled()
    next(model.stream(PackedStrings(_paths(data)), print))
    assert torch.is_grad_enabled()
