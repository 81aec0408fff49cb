"""Trainings side by side."""

from __future__ import annotations

import csv
import io

import pytest

from mitorch_service.cli.views.query.compare import CompareView
from mitorch_service.insights.training.compare import Metric, read_comparison
from mitorch_service.models.training import Progress
from mitorch_service.stores.base import Store
from tests.samples import CONFIG, NOW, a_result, a_training, an_attempt


@pytest.fixture
def ids(store: Store) -> list[str]:
    """Two trainings with different learning rates; the second has run two epochs."""
    first = a_training(evaluation={"val_loss": 0.5, "f1": 0.75}, name="first")
    second = a_training(
        config={**CONFIG, "lr_scheduler": {"name": "cosine", "base_lr": 0.1}, "seed": 3},
        progress=Progress(epoch=2, max_epochs=3, val_loss=0.75, metrics={"f1": 0.875}, at=NOW),
    )
    store.queue.add_trainings([first, second])
    store.queue.claim_training(second.id, an_attempt(second))
    store.runs.start_training(second.id, 1, "worker", NOW)
    for epoch in (1, 2):
        store.runs.record_epoch(second.id, 1, 3, a_result(epoch, val_loss=1.5 / epoch, metrics={"f1": 0.875}))
    return [first.id, second.id]


def test_only_what_differs_is_compared_and_the_best_is_marked(store: Store, ids: list[str]) -> None:
    found = read_comparison(store, ids)
    assert found.differences == {"lr_scheduler.base_lr": [0.01, 0.1], "seed": [0, 3]}
    assert found.metrics["val_loss"] == Metric([0.5, 0.75], frozenset({0}))
    assert found.metrics["f1"] == Metric([0.75, 0.875], frozenset({1}))
    assert found.metrics["train_loss"].best == frozenset()
    assert [len(curve) for curve in found.curves] == [0, 2]
    assert found.shown_measures() == ["val_loss", "f1"]


def test_a_config_differs_by_what_it_means_and_not_by_how_it_is_written(store: Store) -> None:
    short = {"model": "resnet18", "seed": 0}
    long = {"model": {"name": "resnet18"}, "max_epochs": 30}
    code = {"archive": f"code/{0:064}.tar.gz", "files": 1, "size": 9, "python": "3.11.7"}
    older, newer = ({**code, "packages": [f"torch=={version}", "x==1"]} for version in ("2.1", "2.2"))
    words = {"script": {"command": ["python", "fit.py"], "code": older}, "parameters": {"lr": 0.1}}
    text = {"script": {"command": "python fit.py", "code": newer}, "parameters": {"lr": 0.2}}
    trainings = [a_training(config=config) for config in (short, long, words, text)]
    store.queue.add_trainings(trainings)
    assert read_comparison(store, [one.id for one in trainings[:2]]).differences == {}
    assert read_comparison(store, [one.id for one in trainings[2:]]).differences == {
        "script.code.packages.torch": ["2.1", "2.2"],
        "parameters.lr": [0.1, 0.2],
    }


def test_equal_values_are_not_marked(store: Store) -> None:
    same = [a_training(evaluation={"f1": value, "val_loss": float("nan")}) for value in (0.5, 0.5)]
    store.queue.add_trainings(same)
    found = read_comparison(store, [one.id for one in same])
    assert found.differences == {}
    assert {metric.best for metric in found.metrics.values()} == {frozenset()}


def test_it_is_shown_and_written_as_csv(store: Store, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    view = CompareView(store, ids)
    view.show()
    shown = capsys.readouterr().out
    assert "0.875 *" in shown
    assert f"EPOCH  {ids[0][:8].upper()}  {ids[1][:8].upper()}\n1      -         1.5" in shown
    view.show_csv()
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["training"], row["epoch"], row["val_loss"], row["f1"]) for row in rows] == [
        (ids[1], "1", "1.5", "0.875"),
        (ids[1], "2", "0.75", "0.875"),
    ]
    assert not view.has_ended()
