"""One training as it is shown."""

from __future__ import annotations

import pytest

from mitorch_service.cli.views.query.training import TrainingView
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import TrainingErrorInfo
from mitorch_service.stores.base import Store
from tests.samples import NOW, a_job, a_result, a_trial, an_attempt


def test_a_curve_has_all_metrics_the_objective_first_and_no_nan(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = a_trial(a_job().id, 0)
    assert trial.trial is not None
    wanted = trial.trial.model_copy(update={"objective": "f1"})
    store.queue.add_trainings([trial.model_copy(update={"trial": wanted})])
    store.queue.claim_training(trial.id, an_attempt(trial))
    store.runs.start_training(trial.id, 1, "worker", NOW)
    metrics = {name: 0.5 for name in ("top1", "top5", "ap", "precision", "recall", "f1", "map50")}
    unknown = {"train_loss": None, "learning_rate": None, "samples_per_second": None}
    store.runs.record_epoch(trial.id, 1, 3, a_result(1, metrics=metrics, **unknown))
    TrainingView(store, trial.id).show()
    _, _, curve = capsys.readouterr().out.partition("# curve\n")
    header, row = curve.splitlines()
    assert header.split()[:10] == [
        "EPOCH",
        "TRAIN_LOSS",
        "VAL_LOSS",
        "F1",
        "TOP1",
        "TOP5",
        "AP",
        "PRECISION",
        "RECALL",
        "MAP50",
    ]
    assert row.split() == ["1", "-", "1.5", *["0.5"] * 7, "-", "1.25", "-"]


def test_an_error_of_several_lines_is_told_apart_from_the_fields(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    error = TrainingErrorInfo(type="X", message="first\nstatus completed", log_tail=["\x1b[2Jlog"])
    trial = a_trial(a_job().id, 0, status=TrainingStatus.FAILED, error=error)
    store.queue.add_trainings([trial])
    TrainingView(store, trial.id).show()
    assert capsys.readouterr().out.endswith("\nX: first\n  status completed\n  \\x1b[2Jlog\n")
