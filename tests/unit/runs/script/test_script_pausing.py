"""Scripts that their search pauses: they are asked to stop at the rung, and go on from their own checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mitorch_service.models.base import new_id
from mitorch_service.models.result import EpochResult
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.runs.search.trial_pausing import TrialPausing
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Guarded
from mitorch_service.stores.verbs.runs import RunVerbs
from tests.fakes import primitives
from tests.samples import a_result, a_trial, an_attempt, later
from tests.unit.runs.script.machine import Machine

OBEDIENT = """
import mitorch_service as m, sys
from pathlib import Path
earlier = m.last_checkpoint()
for epoch in range(int(earlier.read_text()) + 1 if earlier else 1, 5):
    m.report(epoch=epoch, val_loss=1 / epoch)
    if KEEPS:
        Path("state").write_text(str(epoch))
        m.checkpoint("state")
    if m.should_stop():
        sys.exit(3)
"""


@pytest.mark.parametrize("keeps", [True, False])
def test_a_script_pauses_and_goes_on_from_what_it_has_kept(
    machine: Machine, keeps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[tuple[int, int]] = []  # attempt and epoch
    record = RunVerbs.record_epoch

    def spy(runs: RunVerbs, id: str, attempt: int, max_epochs: int, result: EpochResult) -> bool:
        reported.append((attempt, result.epoch))
        return record(runs, id, attempt, max_epochs, result)

    monkeypatch.setattr(RunVerbs, "record_epoch", spy)
    code = OBEDIENT.replace("KEEPS", str(keeps))
    trial = _pausing(machine, machine.queued(code, trial=True, max_epochs=4))
    assert machine.run(trial) == 0
    paused = machine.store.trainings.get_training(trial.id)
    assert paused.is_paused()
    reason = paused.attempts[0].reason or ""
    assert reason.startswith("paused after epoch 2 of 4")
    assert ("restarts from epoch 1" in reason) != keeps
    assert paused.job_id is not None
    assert [record.loss for record in machine.store.rungs.best_paused(paused.job_id, 2, 9)] == [0.5]

    assert machine.store.rungs.resume_trial(paused, None, 100, later(9))
    machine.stop.clear()
    assert machine.run(machine.claim(trial)) == 0
    done = machine.store.trainings.get_training(trial.id)
    assert done.status == TrainingStatus.COMPLETED
    assert done.trial is not None
    assert done.trial.value == 0.25
    results = machine.store.runs.curve(trial.id).items
    assert [result.epoch for result in results] == [1, 2, 3, 4]
    assert reported == [(1, 1), (1, 2), *([] if keeps else [(2, 1), (2, 2)]), (2, 3), (2, 4)]


@pytest.mark.parametrize(("epochs", "paused"), [((3, 4), 3), ((4,), None), ((0, 3), None)])
def test_a_script_that_reports_some_epochs_pauses_after_the_first_behind_its_rung_but_not_after_the_last(
    store: Store, epochs: Sequence[int], paused: int | None
) -> None:
    training = a_trial(new_id(), 0, max_epochs=4)
    store.queue.add_trainings([training])
    store.queue.claim_training(training.id, an_attempt(training))
    training = store.runs.start_training(training.id, 1, "worker", later(1))
    assert training.trial is not None
    trial = training.trial.model_copy(update={"pause_at": 2, "rungs": [1, 2]})
    pausing = TrialPausing(store, training, trial, "job")
    assert [epoch for epoch in epochs if pausing.ends_after(a_result(epoch, val_loss=epoch))][:1] == (
        [] if paused is None else [paused]
    )
    if pausing.decision is not None:
        assert pausing.decision.reason == f"paused after epoch {paused} of 4 until its search resumes it"
    assert [record.loss for record in store.rungs.rung_records("job", 2, 9)] == [max(epochs[0], 3)]
    assert store.rungs.count_rung("job", 2, paused=True) == (paused is not None)


def _pausing(machine: Machine, training: Training) -> Training:
    """The same, which is to pause after its second epoch."""
    changes = {"trial.pause_at": 2, "trial.rungs": [2]}
    assert primitives(machine.store).change(Guarded("trainings", training.id, {"attempt": (1,)}, changes))
    return machine.store.trainings.get_training(training.id)
