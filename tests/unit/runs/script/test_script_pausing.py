"""Scripts that their search pauses: they are asked to stop at the rung, and go on from their own checkpoint."""

from __future__ import annotations

import pytest

from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.stores.requests import Guarded
from tests.fakes import primitives
from tests.samples import later
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
def test_a_script_pauses_and_goes_on_from_what_it_has_kept(machine: Machine, keeps: bool) -> None:
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
    attempts = [int(record["attempt"]) for record in machine.store.runs.curve_records(trial.id)]
    assert attempts == ([1, 1, 2, 2] if keeps else [2, 2, 2, 2])


def _pausing(machine: Machine, training: Training) -> Training:
    """The same, which is to pause after its second epoch."""
    changes = {"trial.pause_at": 2, "trial.rungs": [2]}
    assert primitives(machine.store).change(Guarded("trainings", training.id, {"attempt": (1,)}, changes))
    return machine.store.trainings.get_training(training.id)
