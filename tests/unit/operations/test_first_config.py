from __future__ import annotations

import pytest

from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.config.validation import check, parse_object
from mitorch_service.operations.first_config import first_config
from mitorch_service.training.data.survey import Survey
from mitorch_service.training.data.targets import Kind
from mitorch_service.training.loop.config_check import check_names


def written(text: str) -> TrainingConfig:
    """The config in a text, which must be right."""
    data = parse_object("first.yaml", text.encode())
    config, problems = check(TrainingConfig, data)
    assert config is not None and not problems + check_names(data), problems
    return config


@pytest.mark.parametrize(
    ("kind", "images", "side", "model", "size", "epochs"),
    [
        ("multiclass", 600, 28, "resnet18", 32, 100),
        ("multiclass", 50_000, 32, "resnet50", 32, 10),
        ("multiclass", 20_000, 3000, "resnet50", 224, 19),
        ("multilabel", 1_999, 150, "resnet18", 160, 96),
        ("detection", 500, 600, "resnet50-fpn_v2-fasterrcnn", 640, 48),
        ("detection", 100_000, 2000, "resnet50-fpn_v2-fasterrcnn", 800, 10),
    ],
)
def test_it_fits_the_images(kind: Kind, images: int, side: int, model: str, size: int, epochs: int) -> None:
    config = written(first_config(Survey(kind, images, ("cat", "owl"), (10, 20), side, 40), "photos"))
    assert (config.model.name, config.model.input_size, config.max_epochs) == (model, size, epochs)
    assert config.task_type.startswith(kind.replace("detection", "object_detection"))


@pytest.mark.parametrize(("counts", "said"), [((0, 9), "have no example"), ((1, 90), "very uneven"), ((9, 10), "")])
def test_it_says_what_is_odd(counts: tuple[int, int], said: str) -> None:
    text = first_config(Survey("multiclass", 100, tuple("abcdefghijk"), counts, 64, None), "photos")
    written(text)
    assert (said in text) and (said != "") == ("no example" in text or "uneven" in text)
    assert "a, b, c, d, e, f, g, h, …" in text


def test_names_of_any_kind_stay_in_their_comments() -> None:
    text = first_config(Survey("detection", 1, ("a\nb: c\x1b[2J",), (3, 3), 64, 20), "my\nphotos")
    assert written(text).task_type == "object_detection"
    assert "# my photos: 1 image, shorter" in text
    assert "# 1 class, 3 boxes each: a b: c [2J\n" in text
