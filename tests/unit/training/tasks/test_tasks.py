"""The contract of every task, and that each learns."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from mitorch_service.errors import InvalidInput
from mitorch_service.models.config.training_config import TrainingConfig, metrics_for
from mitorch_service.training.data.batches.batch import Batch, Sample
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.targets import ClassTargets
from mitorch_service.training.networks.network import Network
from mitorch_service.training.tasks.base import Evaluator, Task, open_task
from mitorch_service.training.tasks.evaluated_images import EvaluatedImages
from mitorch_service.training.tasks.task_names import unknown_task_problem
from tests.unit.training.shapes import SHAPES, Drawing, draw_shapes

CPU = torch.device("cpu")
MODELS = {
    "multiclass_classification": "test_resnet",
    "multilabel_classification": "test_resnet",
    "object_detection": "test_resnet-ssdlite",
}


def config(task: str, **fields: Any) -> TrainingConfig:
    given = {
        "model": {"name": MODELS[task], "input_size": 64},
        "lr_scheduler": {"name": "cosine", "base_lr": 0.01},
        "max_epochs": 1,
        "task_type": task,
    }
    return TrainingConfig.model_validate({**given, **fields})


def sample(task: str, drawing: Drawing) -> Sample:
    labels = drawing.labels
    if task == "multiclass_classification":
        return drawing.tensor, labels[0] if labels else 0
    return drawing.tensor, tuple(labels) if task == "multilabel_classification" else drawing.target


def batch_of(task: Task, count: int = 8, seed: int = 0) -> Batch:
    return task.collate([sample(task.name, one) for one in draw_shapes(count, seed=seed, most=2)], len(SHAPES))


def network_of(task: Task) -> Network:
    torch.manual_seed(0)
    return task.build_network(config(task.name).model, len(SHAPES))


def evaluated(task: Task, network: Network, *batches: Batch) -> Evaluator:
    evaluator = task.evaluator(network, SHAPES, config(task.name), CPU)
    network.module.eval()
    with torch.inference_mode():
        for batch in batches:
            evaluator.update(network.module, batch)
    return evaluator


_LONG = {"object_detection": pytest.param("object_detection", marks=pytest.mark.long)}


@pytest.fixture(params=MODELS)
def task(request: pytest.FixtureRequest) -> Task:
    return open_task(request.param)


@pytest.mark.parametrize("task", [_LONG.get(name, name) for name in MODELS], indirect=True)
def test_learns_a_few_pictures_by_heart(task: Task) -> None:
    network, batch = network_of(task), batch_of(task)
    before = evaluated(task, network, batch)
    optimizer = torch.optim.AdamW(network.module.parameters(), 2e-3)
    steps = 120 if task.kind == "detection" else 40
    for step in range(steps + 20):
        if step == steps:  # the running statistics catch up with the weights
            optimizer.param_groups[0]["lr"] = 1e-5
        network.module.train()
        loss = task.loss(network.module, batch, config(task.name))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    after = evaluated(task, network, batch)
    headline = {"multiclass": "top1_accuracy", "multilabel": "average_precision", "detection": "mAP_50"}[task.kind]
    assert after.loss() < before.loss() / 2
    assert before.metrics()[headline] < 0.8 < after.metrics()[headline]


def test_evaluation_changes_neither_the_network_nor_the_random_numbers(task: Task) -> None:
    network, batch = network_of(task), batch_of(task, 3)
    before, numbers = pickle.dumps(network.module.state_dict()), torch.get_rng_state()
    first = evaluated(task, network, batch)
    assert pickle.dumps(network.module.state_dict()) == before
    assert torch.equal(torch.get_rng_state(), numbers)
    assert not any(part.training for part in network.module.modules())
    assert evaluated(task, network, batch).loss() == first.loss()
    network.module.train()  # evaluation in inference mode leaves nothing behind that a training cannot use
    task.loss(network.module, batch, config(task.name)).backward()  # type: ignore[no-untyped-call]


def test_metrics_are_those_that_a_search_may_ask_for(task: Task) -> None:
    network = network_of(task)
    evaluator = evaluated(task, network, batch_of(task, 3))
    assert tuple(evaluator.metrics()) == metrics_for(task.name, len(SHAPES))
    assert tuple(evaluator.per_class()) == SHAPES
    nothing = evaluated(task, network)
    assert tuple(nothing.metrics()) == metrics_for(task.name, len(SHAPES))
    assert all(math.isnan(value) for value in (nothing.loss(), *nothing.metrics().values()))


def test_two_processes_find_what_one_finds(task: Task) -> None:
    network = network_of(task)
    batches = batch_of(task, 5), batch_of(task, 3, seed=1)
    one = evaluated(task, network, *batches)
    first, second = (evaluated(task, network, batch) for batch in batches)
    first.merge(pickle.loads(pickle.dumps(second.state())))
    assert first.loss() == pytest.approx(one.loss(), rel=1e-6)
    assert first.metrics() == pytest.approx(one.metrics(), nan_ok=True)
    empty = evaluated(task, network)
    empty.merge(one.state())
    assert empty.metrics() == pytest.approx(one.metrics(), nan_ok=True)


def test_what_is_not_finite_gives_nan(task: Task) -> None:
    network, batch = network_of(task), batch_of(task, 2)
    with torch.no_grad():
        for parameter in network.module.parameters():
            parameter.fill_(float("nan"))
    evaluator = evaluated(task, network, batch)
    assert math.isnan(evaluator.loss())


def test_half_precision(task: Task) -> None:
    network, batch = network_of(task), batch_of(task, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert task.loss(network.module.train(), batch, config(task.name)).isfinite()
        evaluator = evaluated(task, network, batch)
    assert math.isfinite(evaluator.loss())
    assert not any(map(math.isnan, evaluator.metrics().values()))


def test_plots(task: Task, tmp_path: Path) -> None:
    images = EvaluatedImages(ImageList("val", Path(), PackedStrings("abcdef"), ClassTargets([0] * 6), SHAPES), range(6))
    names = {path.name for path in evaluated(task, network_of(task), batch_of(task, 6)).plots(tmp_path, images)}
    assert {"per_class.csv", "precision_recall.png", "predictions.csv", "worst_mistakes.png"} <= names
    assert {"class_metrics.json", "thresholds.png"} <= names
    rows = (tmp_path / "predictions.csv").read_text().splitlines()
    assert list(dict.fromkeys(row.partition(",")[0] for row in rows)) == ["file", *"abcdef"]
    assert ("confusion_matrix.png" in names) == (task.kind != "multilabel")
    assert {path.name for path in tmp_path.iterdir()} == names
    assert all((tmp_path / name).read_bytes()[:4] == b"\x89PNG" for name in names if name.endswith("png"))


def test_batches_move_whole(task: Task) -> None:
    batch = batch_of(task, 3)
    moved = batch.to(torch.device("meta"))
    assert len(moved) == len(batch) == 3
    tensors = [moved.targets] if isinstance(moved.targets, torch.Tensor) else [t["boxes"] for t in moved.targets]
    assert {one.device.type for one in (*moved.images, *tensors)} == {"meta"}


def test_images_of_several_sizes_make_a_list() -> None:
    task = open_task("object_detection")
    small, large = draw_shapes(1, 32)[0], draw_shapes(1, 64)[0]
    batch = task.collate([sample(task.name, one) for one in (small, large)], 3)
    assert [tuple(image.shape) for image in batch.images] == [(3, 32, 32), (3, 64, 64)]
    assert evaluated(task, network_of(task), batch).loss() > 0


def test_mixed_and_smoothed_targets() -> None:
    """A weight of one for a class is that class; label smoothing is that of torch."""
    task = open_task("multiclass_classification")
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    images, targets = torch.rand(4, 3, 2, 2), torch.tensor([0, 1, 2, 1])
    weights = torch.nn.functional.one_hot(targets).float()
    for smoothing in (0.0, 0.1):
        given = config(task.name, label_smoothing=smoothing)
        plain, mixed = (task.loss(module, Batch(images, one), given).item() for one in (targets, weights))
        assert plain == pytest.approx(mixed)
        expected = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)(module(images), targets).item()
        assert plain == pytest.approx(expected)


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="'object_detecton' is not known; did you mean 'object_detection'"):
        open_task("object_detecton")
    assert unknown_task_problem("multilabel_classification") is None
