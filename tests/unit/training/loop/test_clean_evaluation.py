"""The part of a split that was not trained on is measured apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.loop.clean_evaluation import clean_figures, evaluate_clean
from mitorch_service.training.loop.engine import train
from mitorch_service.training.loop.evaluation import evaluate, figures_of_test
from mitorch_service.training.networks.weights import save_weights
from tests.unit.training.loop.interrupted import Lists
from tests.unit.training.recorder import Recorder


def test_images_of_train_and_known_near_duplicates_are_left_out(multiclass: Lists, tmp_path: Path) -> None:
    trained_on, new = multiclass
    config = TrainingConfig.model_validate({"model": {"name": "test_resnet", "input_size": 16}, "max_epochs": 1})
    outcome = train(config, trained_on, new, fast_dev_run=True)
    weights = tmp_path / "m.pth"
    save_weights(outcome.state_dict, weights, outcome.metadata)
    (tmp_path / "val" / "1.png").write_bytes((tmp_path / "train" / "4.png").read_bytes())
    recorder = Recorder()
    clean = evaluate_clean(config, new, trained_on, weights, known=[5, 99], reporter=recorder)
    rest = [index for index in range(len(new)) if index not in (1, 5)]
    assert clean == pytest.approx(evaluate(config, new.select(rest, "rest"), weights))
    assert clean["val_loss"] != pytest.approx(evaluate(config, new, weights)["val_loss"])
    assert "2 images of" in recorder.notes[-1]
    assert set(clean_figures(figures_of_test({"val_loss": 1.0, "f1": 0.5}))) == {"clean_test_loss", "clean_test_f1"}

    assert evaluate_clean(config, replace(trained_on, name="val"), trained_on, weights, reporter=recorder) == {}
    assert "no clean_… metrics" in recorder.notes[-1]
    notes = len(recorder.notes)
    assert evaluate_clean(config, new.select([0, 2], "new"), trained_on, weights, reporter=recorder) == {}
    assert len(recorder.notes) == notes
