from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.training.loop.config_check import check_names
from tests.samples import CONFIG


def problems(**fields: Any) -> list[str]:
    return [str(problem) for problem in check_names({**CONFIG, **fields})]


@pytest.mark.parametrize(
    ("task", "model"),
    [
        ("multiclass_classification", "MobileNetV2"),
        ("multilabel_classification", "resnet18"),
        ("object_detection", "resnet50-fpn-fasterrcnn"),
        ("object_detection", "fcos_resnet50_fpn"),
        ("object_detection", "efficientnet_b0-fpn-retinanet"),
    ],
)
def test_models_that_fit_their_task(task: str, model: str) -> None:
    assert problems(task_type=task, model={"name": model}) == []


def test_an_unknown_task_and_a_model_of_another() -> None:
    assert problems(task_type="detection")[0].startswith("task_type: 'detection' is not known; did you mean 'object_")
    found = problems(task_type="object_detection", model={"name": "resnet18"})
    assert found[0].startswith("model.name: 'resnet18' is a classifier, not a detector")


def test_unknown_names_are_told_at_once_with_the_nearest() -> None:
    found = problems(model={"name": "resnet81"}, optimizer={"name": "adm"}, augmentation={"train": ["resize", "resiz"]})
    assert [one.split(": ")[0] for one in found] == ["model.name", "optimizer.name", "augmentation.train[1].name"]
    assert "did you mean 'adam'" in found[1]
    assert "did you mean 'resize'?" in found[2]


def test_names_are_looked_at_where_the_form_is_wrong() -> None:
    steps = [{"name": "resize", "option": {}}, "resiz", 7, {"name": "center_crop", "options": {"ratio": 1}}]
    found = problems(optimizer={"name": "adm", "momentun": 1}, augmentation={"train": steps}, batch_size="many")
    assert [one.split(": ")[0] for one in found] == [
        "optimizer.name",
        "augmentation.train[1].name",
        "augmentation.train[3].options.ratio",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"model": 3, "optimizer": None, "augmentation": []},
        {"model": {"name": None}, "optimizer": {"name": []}, "augmentation": {"train": None, "val": 7}},
        {"task_type": {}, "augmentation": {"train": [None, [], {"name": 3}]}},
    ],
)
def test_what_has_no_form_at_all_has_no_unknown_names(fields: dict[str, Any]) -> None:
    assert problems(**fields) == []
