"""The page of `micontrol status`, where cluster and database disagree."""

from __future__ import annotations

import json

import pytest

from mitorch_service.backends.base import RunRequest
from mitorch_service.cli.views.control.service_status import show_status, show_status_json
from mitorch_service.insights.service_status import read_status
from mitorch_service.models.training import run_name
from mitorch_service.stores.base import Store
from tests.fakes import ListingBackend
from tests.samples import a_training, an_attempt, later


def test_runs_without_a_training_and_trainings_without_a_run_are_shown(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = ListingBackend("local", slots=2)
    lost, gone = a_training(), a_training()
    store.queue.add_trainings([lost])
    store.queue.claim_training(lost.id, an_attempt(lost))
    leaked = run_name(gone.id, 1)
    backend.submit(RunRequest(leaked, ("mirun",)))
    status = read_status(store, {"local": backend}, later(7200), prices={"local": 1.5})
    show_status(status, later(7200))
    shown = capsys.readouterr().out
    assert "runs that no training knows" in shown and "3.00" in shown
    assert "trainings without a run" in shown and lost.id[:8] in shown.split("trainings without a run")[1]
    show_status_json(status, later(7200))
    found = json.loads(capsys.readouterr().out)
    assert [(one["run"], one["minutes"], one["cost"]) for one in found["leaks"]] == [(leaked, 120, 3.0)]
    assert found["without_run"] == [lost.id]
