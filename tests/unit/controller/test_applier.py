"""Actions are applied one by one, and each kind has a handler."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.controller.apply import checkpoint_cleanup
from mitorch_service.controller.apply.applier import ActionApplier, Step
from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.plan.actions import (
    CancelRun,
    CancelTraining,
    FinishJob,
    Launch,
    NoteFound,
    NoteJob,
    Submit,
)
from mitorch_service.models.search.job import SearchConfig, trial_id
from mitorch_service.models.status import JobStatus
from mitorch_service.stores.base import Store
from tests.samples import NOW, SPACE, a_job, a_training


def test_each_kind_of_step_has_a_handler() -> None:
    dispatch = vars(ActionApplier)["apply"].dispatcher.dispatch
    unhandled = {kind for kind in get_args(Step) if dispatch(kind) is dispatch(object)}
    assert unhandled == {Launch, Submit, CancelRun, NoteFound}  # which come in batches


def test_an_error_of_one_action_does_not_stop_the_next(store: Store) -> None:
    training = a_training()
    store.queue.add_trainings([training])
    events = EventLog()
    applier = ActionApplier(store, {}, None, events)
    assert applier.apply_all([CancelTraining("none"), CancelTraining(training.id)], NOW, lambda: True)
    assert [event.failed for event in events.events] == [True, False]


def test_the_checkpoints_of_a_job_are_deleted_page_by_page_until_time_is_up(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_cleanup, "PAGE", 1)
    search = {"max_trials": 3, "resume_promoted": True, "early_stopping": {"rule": "asha"}}
    job = a_job(config={**SPACE, "max_epochs": 9}, search=SearchConfig.model_validate(search), cancel_requested_at=NOW)
    store.jobs.add_job(job)
    artifacts = FolderArtifactStore(tmp_path)
    for number in range(3):
        store.rungs.record_rung(job.id, number, 1, 0, 1, 0.5, paused=True)
        artifacts.put(f"{trial_id(job.id, number)}/checkpoint-000001/state.pt", Path(__file__))
    end = FinishJob(job.id, JobStatus.CANCELED, None, {}, None, pauses=True)
    left = [True, True, True, False]  # it is confirmed, and two pages are deleted
    applier = ActionApplier(store, {}, artifacts, EventLog())
    assert not applier.apply_all([end, NoteJob(job.id, "later")], NOW, lambda: left.pop(0))
    assert (len(store.rungs.some_rung_records(job.id, 9)), store.jobs.get_job(job.id).note) == (1, None)
    assert store.jobs.get_job(job.id).status == JobStatus.NEW
    assert ActionApplier(store, {}, artifacts, EventLog()).apply_all([end], NOW, lambda: True)
    assert store.jobs.get_job(job.id).status == JobStatus.CANCELED
    assert store.rungs.some_rung_records(job.id, 9) == []
    assert [key for number in range(3) for key in artifacts.keys(f"{trial_id(job.id, number)}/")] == []
