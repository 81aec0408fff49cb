"""The training that a run of another system becomes."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mitorch_service.interop.foreign_run import Ending, ForeignRun
from mitorch_service.interop.metric_names import stored_names
from mitorch_service.interop.translation import TranslationOptions, training_id, translate
from mitorch_service.models.result import EpochResult
from mitorch_service.models.training import Training

NOW = datetime(2026, 11, 20, tzinfo=UTC)
START = NOW - timedelta(days=400)


def translated(run: ForeignRun, **options: Any) -> tuple[Training, list[EpochResult]]:
    return translate(run, training_id("mlflow", run.id), "mlflow", "/runs/a", TranslationOptions(NOW, **options))


def a_run(**fields: Any) -> ForeignRun:
    run = ForeignRun("a1", **{"started_at": START, "ended_at": START + timedelta(hours=1), **fields})
    for step in range(3):
        run.curves.add("val/loss", step, 1.0 / (step + 1), START.timestamp() + step)
    return run


def test_the_training() -> None:
    training, results = translated(
        a_run(name="größer", project="digits", user="ada", note="a\nb", tags=["x=1", "base"])
    )
    assert training.status == "completed"
    assert training.created_at == START
    assert training.status_times == {"new": START, "running": START, "completed": START + timedelta(hours=1)}
    assert training.name == "größer"
    assert training.submitted_by == "ada"
    assert training.user_note == "a b"
    assert training.tags == ["imported=mlflow", "project=digits", "x=1", "base=true"]
    assert training.config == {"parameters": {}}
    assert training.evaluation == {"val_loss": 1 / 3}
    assert training.attempts == []
    assert training.progress is not None
    assert (training.progress.epoch, training.max_epochs) == (3, 3)
    origin = training.imported_from
    assert origin is not None
    assert (origin.system, origin.run, origin.project, origin.axis) == ("mlflow", "a1", "digits", "step")
    assert origin.renamed == ["val/loss: val_loss"]
    assert origin.left_out == []
    assert [(r.epoch, r.val_loss, r.metrics, r.finished_at) for r in results] == [
        (number + 1, 1 / (number + 1), {"step": number}, START + timedelta(seconds=number)) for number in range(3)
    ]
    assert Training.from_document(training.to_document()) == training


@pytest.mark.parametrize(
    ("ending", "status", "error"),
    [
        (Ending.FINISHED, "completed", None),
        (Ending.FAILED, "failed", "Failed"),
        (Ending.KILLED, "canceled", "Killed"),
        (Ending.OPEN, "failed", "Unfinished"),
    ],
)
def test_how_it_ended(ending: Ending, status: str, error: str | None) -> None:
    training, _ = translated(a_run(ending=ending))
    assert training.status == status
    assert status in training.status_times
    assert (training.error and training.error.type) == error


def test_the_same_run_has_the_same_id() -> None:
    assert training_id("mlflow", "a") == training_id("mlflow", "a")
    # The same for ever: runs that were imported would come a second time.
    assert training_id("mlflow", "a") == "97b35e54-ee7e-5a29-b97b-35db7ee98c90"
    assert len({training_id("mlflow", "a"), training_id("mlflow", "b"), training_id("wandb", "a")}) == 3


def test_names_of_metrics() -> None:
    names = ["Loss/train", "a.b", "a/b", "$x", "", "x" * 150, "eval_loss", "accuracy", "lr"]
    found = stored_names(names)
    assert found == {
        "Loss/train": "train_loss",
        "eval_loss": "val_loss",
        "lr": "learning_rate",
        "a.b": "a/b",
        "a/b": "a/b 2",
        "$x": "_x",
        "": "_",
        "x" * 150: "x" * 99 + "…",
        "accuracy": "accuracy",
    }
    assert stored_names(["loss", "train_loss"]) == {"train_loss": "train_loss", "loss": "loss"}


def test_more_metrics_than_an_epoch_can_have() -> None:
    run = a_run()
    for number in range(300):
        run.curves.add(f"m{number}", 0, 1.0)
    training, results = translated(run)
    assert len(results[0].metrics) == 199 + 1  # with the step; val_loss is apart
    assert training.imported_from is not None
    assert training.imported_from.left_out == ["101 metrics beyond 200"]


def test_what_is_left_out_is_told() -> None:
    run = a_run(note="n" * 3000, tags=[f"t{number}=1" for number in range(60)])
    run.left_out.update(["image", "image", "table"])
    training, _ = translated(run, points=2, tags=["team=a"])
    assert training.imported_from is not None
    assert training.imported_from.left_out == [
        "1 of 3 points of the curves: the last one of each step or interval of steps is kept",
        "2 images",
        "1 table",
        "12 tags beyond 50",
        "the end of the note, which has 3000 characters",
    ]
    assert len(training.tags) == 50
    assert "team=a" in training.tags


def test_parameters_that_no_database_holds() -> None:
    parameters = {
        "$a": math.nan,
        "b.c": 2**80,
        "": {"d": (1, 2)},
        "e": "a\0b\ud800",
        "api_key": "0123456789abcdef0123",
        "pad_token": "<pad>",
        "uri": "mongodb://user:secret@host/",
    }
    training, _ = translated(a_run(parameters=parameters))
    assert training.config["parameters"] == {
        "_a": "nan",
        "b.c": str(2**80),
        "_": {"d": [1, 2]},
        "e": "ab?",
        "api_key": "***",
        "pad_token": "<pad>",
        "uri": "mongodb://user:***@host/",
    }
    assert training.imported_from is not None
    assert training.imported_from.left_out == ["the values of parameters that look like credentials: api_key"]


def test_halves_of_characters() -> None:
    run = a_run(name="a\ud800", project="b\ud800", note="c\ud800", tags=["d\ud800=1"], parameters={"e\ud800": "\ud800"})
    run.curves.add("f\ud800", 0, 1.0)
    run.left_out["g\ud800"] += 1
    training, results = translated(run)
    training.model_dump_json().encode()
    assert results[0].metrics == {"f?": 1.0, "step": 0.0}
    assert training.name == "a"


def test_parameters_that_are_too_many() -> None:
    training, _ = translated(a_run(parameters={"a": "x" * 600_000}))
    assert training.config == {"parameters": {}}
    assert training.imported_from is not None
    assert training.imported_from.left_out == ["all parameters, which are 600009 bytes"]


def test_without_times() -> None:
    run = ForeignRun("a1")
    run.curves.add("loss", 0, 1.0)
    training, results = translated(run)
    assert training.created_at == NOW
    assert results[0].finished_at == NOW


def test_a_metric_named_step_is_kept() -> None:
    run = ForeignRun("a1")
    run.curves.add("step", 5, 7.0)
    assert translated(run)[1][0].metrics == {"step": 7.0, "logged step": 5.0}
