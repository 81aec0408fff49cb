"""How much of a training is done: in epochs, or in steps if its config counts these."""

from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.models.config.training_length import epochs_of
from mitorch_service.models.new_training import new_training
from mitorch_service.models.training import Progress, Training, done_text
from tests.samples import CONFIG, NOW, a_training

BY_STEPS = {**{key: value for key, value in CONFIG.items() if key != "max_epochs"}, "max_steps": 1000}


@pytest.mark.parametrize(
    ("config", "epochs"),
    [
        ({"model": "resnet18"}, 30),
        ({"max_epochs": 5}, 5),
        ({"max_steps": 1000}, 0),
        ({"max_steps": 1000, "eval_every": 300}, 4),
        ({"max_steps": 1000, "eval_every": {"_choice": [1, 2]}}, 0),
        ({"max_epochs": {"_choice": [1, 2]}}, 0),
        ({"script": {}}, 0),
        ({"script": {}, "max_epochs": 5}, 5),
    ],
)
def test_the_number_of_epochs_follows_from_the_config(config: dict[str, Any], epochs: int) -> None:
    assert epochs_of(config) == epochs


def of_config(config: dict[str, Any], **progress: Any) -> Training:
    training = new_training("id", config, a_training().dataset, NOW, 1)
    shown = Progress(**{"epoch": 0, "max_epochs": 0, "at": NOW, **progress}) if progress else None
    return training.model_copy(update={"progress": shown})


def test_what_is_done_is_told_in_the_unit_of_the_config() -> None:
    assert done_text(of_config(CONFIG, epoch=2)) == f"2/{CONFIG['max_epochs']}"
    assert (done_text(of_config(BY_STEPS)), of_config(BY_STEPS).done()) == ("0/1000 steps", (0, 1000))
    assert done_text(of_config(BY_STEPS, epoch=3, step=300)) == "300/1000 steps"


def test_only_a_training_by_steps_stores_them() -> None:
    assert "max_steps" not in of_config(CONFIG, epoch=1).to_document()
    assert "step" not in of_config(CONFIG, epoch=1).to_document()["progress"]
    stored = of_config({**BY_STEPS, "eval_every": 400}, epoch=1, step=400).to_document()
    assert (stored["max_steps"], stored["max_epochs"], stored["progress"]["step"]) == (1000, 3, 400)
