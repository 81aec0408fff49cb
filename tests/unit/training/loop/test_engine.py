from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mitorch_service.errors import DataError, ModelError, TrainingDiverged
from mitorch_service.models.config.training_config import TrainingConfig, metrics_for
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.loop.engine import TrainingOutcome, train
from mitorch_service.training.loop.evaluation import evaluate
from mitorch_service.training.networks.weights import read_weights, save_weights
from tests.unit.training.pictures import COLORS, write_colors
from tests.unit.training.recorder import Recorder

Lists = tuple[ImageList, ImageList]


def config(**fields: Any) -> TrainingConfig:
    tiny: dict[str, Any] = {
        "model": {"name": "test_resnet", "input_size": 16, "options": {"drop_rate": 0.1}},
        "lr_scheduler": {"name": "cosine", "base_lr": 0.01},
        "augmentation": {"train": ["random_affine", "horizontal_flip"], "val": "resize"},
        "batch_size": 8,
        "max_epochs": 2,
    }
    return TrainingConfig.model_validate(tiny | fields)


def run(colors: Lists, *, stop_at: int | None = None, **fields: Any) -> tuple[TrainingOutcome, Recorder]:
    recorder = Recorder(stop_at)
    return train(config(**fields), *colors, reporter=recorder), recorder


def test_reports_plan_steps_and_epochs(colors: Lists) -> None:
    outcome, recorder = run(colors)
    (plan,) = recorder.plans
    assert (plan.epochs, plan.steps_per_epoch, plan.train_images, plan.val_images, plan.classes) == (2, 3, 24, 9, 3)
    assert plan.parameters > 100_000
    assert plan.device == str(torch.device(plan.device))
    assert recorder.steps == [(1, 1, 3), (1, 2, 3), (1, 3, 3), (2, 1, 3), (2, 2, 3), (2, 3, 3)]
    first, last = recorder.results
    assert (first.epoch, last.epoch) == (1, 2)
    assert first.train_loss == pytest.approx(sum(recorder.losses[:3]) / 3)
    assert last.learning_rate == pytest.approx(0.01 * 0.5 * (1 + math.cos(math.pi * 5 / 6)))
    assert last.samples_per_second is not None and last.samples_per_second > 0
    assert last.metrics.keys() == set(metrics_for("multiclass_classification", 3))
    assert outcome.evaluation == {"val_loss": last.val_loss, **last.metrics}
    assert (outcome.epochs, outcome.stopped) == (2, False)
    assert all(tensor.device.type == "cpu" for tensor in outcome.state_dict.values())


def test_the_same_seed_gives_the_same_curve_with_any_number_of_workers(colors: Lists) -> None:
    outcome, recorder = run(colors, seed=3)
    again, repeated = run(colors, seed=3)
    with_workers, parallel = run(colors, seed=3, num_workers=2)
    assert recorder.losses == repeated.losses == parallel.losses
    assert recorder.curve() == repeated.curve() == parallel.curve()
    for name, tensor in outcome.state_dict.items():
        assert torch.equal(tensor, again.state_dict[name])
        assert torch.equal(tensor, with_workers.state_dict[name])


def test_another_seed_gives_another_curve(colors: Lists) -> None:
    assert run(colors, seed=1)[1].losses != run(colors, seed=2)[1].losses


@pytest.mark.long
def test_learns_the_digits(digits: Path) -> None:
    learning = config(
        model={"name": "test_resnet", "input_size": 24},
        optimizer={"name": "adamw", "weight_decay": 0.01},
        lr_scheduler={"name": "cosine", "base_lr": 0.005, "warmup": "linear"},
        augmentation={"train": {"name": "random_affine", "options": {"degrees": 5}}, "val": "resize"},
        batch_size=64,
        max_epochs=4,
    )
    outcome = train(learning, read_image_list(digits / "train.txt"), read_image_list(digits / "val.txt"))
    assert outcome.evaluation["top1_accuracy"] > 0.9


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_every_optimizer_learns_the_colors(colors: Lists, optimizer: str) -> None:
    rate = 0.02 if optimizer == "sgd" else 0.003
    outcome, _ = run(
        colors,
        optimizer={"name": optimizer},
        lr_scheduler={"name": "constant", "base_lr": rate},
        augmentation={"train": "resize", "val": "resize"},
        max_epochs=15,
    )
    assert outcome.evaluation["top1_accuracy"] > 0.8


def test_a_stop_ends_cleanly_between_steps(colors: Lists) -> None:
    """Asked before each of 3 steps and 2 validation batches: the 7th time is before the second epoch's second step."""
    outcome, recorder = run(colors, stop_at=7)
    assert (outcome.stopped, outcome.epochs) == (True, 1)
    assert recorder.steps[-1] == (2, 1, 3)
    assert outcome.evaluation["val_loss"] == recorder.results[0].val_loss


def test_a_stop_during_validation_leaves_the_epoch_unreported(colors: Lists) -> None:
    outcome, recorder = run(colors, stop_at=4)
    assert (outcome.stopped, outcome.epochs, outcome.evaluation, recorder.results) == (True, 0, {}, [])


def write_two_classes(folder: Path) -> Path:
    text = write_colors(folder, 2)
    (folder / "labels.txt").write_text("red\nlime\n")
    return text


ABSURD = {"name": "constant", "base_lr": 100.0}


def test_a_training_loss_that_is_not_finite_is_reported_then_raised(colors: Lists) -> None:
    recorder = Recorder()
    exploding = config(
        model={"name": "test_vit", "input_size": 16}, optimizer={"name": "sgd", "momentum": 0.99}, lr_scheduler=ABSURD,
        max_epochs=50,
    )  # fmt: skip
    with pytest.raises(TrainingDiverged, match=r"learning rate 100; .*\)\. Lower lr_scheduler\.base_lr") as caught:
        train(exploding, *colors, reporter=recorder)
    last = recorder.results[-1]
    assert last.epoch == caught.value.epoch
    assert not _finite(last.val_loss if last.val_loss is not None else last.train_loss)


def test_a_validation_loss_that_is_not_finite_is_reported_then_raised(colors: Lists, tmp_path: Path) -> None:
    """One step with a rate that spoils the weights: the training loss before it was fine."""
    outcome, _ = run(colors, max_epochs=1)
    spoilt = {name: tensor * 1e30 if tensor.ndim > 1 else tensor for name, tensor in outcome.state_dict.items()}
    save_weights(spoilt, tmp_path / "spoilt.pth")
    recorder = Recorder()
    one_step = config(batch_size=24, lr_scheduler={"name": "constant", "base_lr": 1e-9}, max_epochs=3)
    with pytest.raises(TrainingDiverged) as caught:
        train(one_step, *colors, reporter=recorder, base_weights=tmp_path / "spoilt.pth")
    (result,) = recorder.results
    assert caught.value.epoch == result.epoch == 1
    assert not _finite(result.train_loss) or not math.isfinite(result.val_loss or 0)


def test_base_weights_are_taken_and_what_did_not_fit_is_noted(colors: Lists, tmp_path: Path) -> None:
    outcome, _ = run(colors, max_epochs=1)
    weights = {name: tensor for name, tensor in outcome.state_dict.items() if not name.startswith("fc.")}
    weights["fc.weight"] = torch.zeros(7, 64)
    save_weights(weights, tmp_path / "base.pth")
    recorder = Recorder()
    frozen = config(lr_scheduler={"name": "constant", "base_lr": 1e-12}, max_epochs=1)
    copied = train(frozen, *colors, reporter=recorder, base_weights=tmp_path / "base.pth")
    (note,) = recorder.notes
    assert "1 not in the file (fc.bias)" in note
    assert "fc.weight (7, 64) in the file, (3," in note
    assert torch.allclose(copied.state_dict["conv1.0.weight"], outcome.state_dict["conv1.0.weight"], atol=1e-6)


@pytest.mark.parametrize(("model", "steps"), [("test_resnet", 2), ("test_vit", 3)])
def test_a_last_batch_of_one_is_for_networks_without_batch_norm(tmp_path: Path, model: str, steps: int) -> None:
    images = read_image_list(write_colors(tmp_path, 9))
    recorder = Recorder()
    train(
        config(model={"name": model, "input_size": 16}, batch_size=4, max_epochs=1), images, images, reporter=recorder
    )
    assert len(recorder.steps) == steps


def test_fast_dev_run_is_one_step_and_one_batch(colors: Lists) -> None:
    recorder = Recorder()
    outcome = train(config(max_epochs=90, num_workers=2), *colors, reporter=recorder, fast_dev_run=True)
    assert recorder.steps == [(1, 1, 1)]
    assert outcome.epochs == 1
    assert math.isfinite(outcome.evaluation["val_loss"])


def test_evaluate_gives_the_figures_of_the_last_epoch(colors: Lists, tmp_path: Path) -> None:
    outcome, _ = run(colors)
    save_weights(outcome.state_dict, tmp_path / "m.pth")
    assert evaluate(config(), colors[1], tmp_path / "m.pth") == pytest.approx(outcome.evaluation)
    assert evaluate(config(), colors[1], tmp_path / "m.pth", reporter=Recorder(stop_at=1)) == {}
    with pytest.raises(ModelError, match="None of the weights"):
        evaluate(config(model={"name": "test_vit", "input_size": 16}), colors[1], tmp_path / "m.pth")
    two = read_image_list(write_two_classes(tmp_path))
    with pytest.raises(ModelError, match=r"not those of this config and data set: .*fc\.weight \(3, .*\(2, "):
        evaluate(config(), two, tmp_path / "m.pth")


def test_weights_know_their_classes_and_preprocessing(colors: Lists, tmp_path: Path) -> None:
    outcome, _ = run(colors, max_epochs=1)
    save_weights(outcome.state_dict, tmp_path / "m.pth", outcome.metadata)
    read = read_weights(tmp_path / "m.pth").metadata
    assert read is not None
    assert (read.classes, read.task_type) == (colors[0].classes, "multiclass_classification")
    assert TrainingConfig.model_validate(read.config) == config(max_epochs=1)
    assert (read.preprocessing.input_size, read.preprocessing.transforms[0]["name"]) == (16, "resize")
    assert len(read.preprocessing.mean) == 3

    other = replace(colors[1], classes=("blue", "red", "lime"), targets=colors[1].targets.renumbered([1, 2, 0]))
    recorder = Recorder()
    assert evaluate(config(), other, tmp_path / "m.pth", reporter=recorder) == pytest.approx(outcome.evaluation)
    assert "numbers the classes in another order" in recorder.notes[0]
    with pytest.raises(ModelError, match="are of task_type multiclass_classification, but the config says multilabel"):
        evaluate(config(task_type="multilabel_classification"), colors[1], tmp_path / "m.pth")
    save_weights(outcome.state_dict, tmp_path / "plain.pth")  # as another program does
    assert evaluate(config(), colors[1], tmp_path / "plain.pth", reporter=recorder) == pytest.approx(outcome.evaluation)
    assert recorder.notes[1].endswith("val.txt numbers them: 0 is red, 1 is lime, 2 is blue.")
    unknown = replace(colors[1], classes=("red", "lime", "violet"))
    with pytest.raises(DataError, match=r"does not know: violet \(3 images\)"):
        evaluate(config(), unknown, tmp_path / "m.pth")


def test_classes_in_another_order_train_on_as_base_weights_number_them(colors: Lists, tmp_path: Path) -> None:
    first, _ = run(colors, max_epochs=1)
    path = tmp_path / "m.pth"
    save_weights(first.state_dict, path, first.metadata)
    expected = train(config(max_epochs=1), *colors, base_weights=path)
    assert first.metadata is not None
    assert first.metadata.classes == ("red", "lime", "blue")
    other = [replace(one, classes=("lime", "blue", "red"), targets=one.targets.renumbered([2, 0, 1])) for one in colors]
    recorder = Recorder()
    outcome = train(config(max_epochs=1), *other, reporter=recorder, base_weights=path)
    told = "They have the same classes in another order, in which the training numbers them: red, lime, blue"
    assert recorder.notes[0].endswith(f"tensors loaded. {told}")
    assert outcome.evaluation == expected.evaluation
    assert outcome.metadata == first.metadata


def test_base_weights_of_other_classes_are_told(colors: Lists, tmp_path: Path) -> None:
    outcome, _ = run(colors, max_epochs=1)
    assert outcome.metadata is not None
    other = outcome.metadata.model_copy(update={"classes": ("cat", "owl", "red")})
    save_weights(outcome.state_dict, tmp_path / "m.pth", other)
    recorder = Recorder()
    again = train(config(max_epochs=1), *colors, reporter=recorder, base_weights=tmp_path / "m.pth", fast_dev_run=True)
    assert recorder.notes[0].endswith("tensors loaded. They are of other classes")
    assert again.metadata == outcome.metadata


@pytest.mark.parametrize("workers", [0, 1])
def test_a_truncated_image_ends_the_training_and_is_named(tmp_path: Path, workers: int) -> None:
    images = read_image_list(write_colors(tmp_path, 9))
    bad = tmp_path / "train" / "4.png"
    bad.write_bytes(bad.read_bytes()[:100])
    with pytest.raises(DataError, match=r"4\.png cannot be decoded"):
        train(config(num_workers=workers), images, images)


def test_predictions_name_their_files_also_if_images_are_left_out(tmp_path: Path, colors: Lists) -> None:
    outcome, _ = run(colors, max_epochs=1)
    save_weights(outcome.state_dict, tmp_path / "m.pth", outcome.metadata)
    images = read_image_list(write_colors(tmp_path, 9))
    for index in (0, 4):
        (tmp_path / "train" / f"{index}.png").write_bytes(b"")
    given = config(data={"on_error": "skip"}, batch_size=2)
    evaluate(given, images, tmp_path / "m.pth", plots=tmp_path / "plots")
    with (tmp_path / "plots" / "predictions.csv").open(newline="") as file:
        labels = [(row["file"], row["label"]) for row in csv.DictReader(file)]
    assert labels == [(f"train/{index}.png", COLORS[index % 3]) for index in (1, 2, 3, 5, 6, 7, 8)]


def test_a_class_that_is_only_validated_is_refused(tmp_path: Path, colors: Lists) -> None:
    two = read_image_list(write_colors(tmp_path, 2))
    with pytest.raises(DataError, match="blue"):
        train(config(), two, colors[1])


def test_a_multilabel_set_to_be_tested_may_show_one_class_in_each_image(colors: Lists, tmp_path: Path) -> None:
    given = config(task_type="multilabel_classification", max_epochs=1)
    single = colors[1]
    outcome = train(given, colors[0].as_kind("multilabel"), single.as_kind("multilabel"))
    save_weights(outcome.state_dict, tmp_path / "model.pth")
    assert single.kind == "multiclass"
    assert evaluate(given, single, tmp_path / "model.pth") == pytest.approx(outcome.evaluation)


def test_a_set_of_clean_images_alone_names_no_class(tmp_path: Path) -> None:
    (tmp_path / "clean.csv").write_text("image,x1,y1,x2,y2,class\na.png,,,,,\n")
    clean = read_image_list(tmp_path / "clean.csv", "clean")
    given = config(task_type="object_detection", model={"name": "test_resnet-ssdlite", "input_size": 64})
    with pytest.raises(DataError, match="clean has no box of any class: there is nothing to find"):
        train(given, clean, clean)


def _finite(loss: float | None) -> bool:
    assert loss is not None
    return math.isfinite(loss)
