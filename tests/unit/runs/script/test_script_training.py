"""One attempt of a script, as `mirun` runs it: every way in which it can end, and what it leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.backends.node import Node
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.dataset import Dataset, DatasetSplit
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.runs.delivery import Upload, Work
from mitorch_service.runs.script.api import log_image, log_table
from mitorch_service.stores.verbs.runs import RunEnd
from tests.fakes import HookedStore, primitives
from tests.hostile_text import HOSTILE, assert_not_obeyed
from tests.samples import NOW
from tests.unit.runs.script.machine import Machine

LOST = RunEnd(AttemptOutcome.LOST)
REPORTS = (
    "import mitorch_service as m\nfor e in (1, 2): m.report(epoch=e, train_loss=2/e, val_loss=1/e, metrics={'a': e})\n"
)
RESUMES = """
import mitorch_service as m, sys
from pathlib import Path
earlier = m.last_checkpoint()
first = int(earlier.read_text()) + 1 if earlier else 1
print("begins at", first)
for epoch in range(first, 5):
    m.report(epoch=epoch, train_loss=1 / epoch)
    Path("state").write_text(str(epoch))
    m.checkpoint("state")
    if epoch == 2 and earlier is None:
        sys.exit("interrupted")
"""


def test_a_script_runs_to_its_end(machine: Machine) -> None:
    training = machine.queued(REPORTS + r"print('done \x1b[1m')", trial=True, parameters={"note": HOSTILE})
    assert machine.run(training) == 0
    done = machine.store.trainings.get_training(training.id)
    assert (done.status, done.attempts[0].outcome) == (TrainingStatus.COMPLETED, AttemptOutcome.COMPLETED)
    assert done.evaluation == {"val_loss": 0.5, "a": 2.0}
    assert done.trial is not None
    assert done.trial.value == 0.5
    assert [(result.epoch, result.train_loss) for result in machine.store.runs.curve(training.id).items] == [
        (1, 2.0),
        (2, 1.0),
    ]
    before, printed, after = machine.log(training).partition("done \x1b[1m\n")
    assert printed  # as it is: the rest of the log is ours, with the command
    assert_not_obeyed(before + after)
    assert "pydantic==" in Path(done.artifacts["environment"]).read_text()


def test_the_training_loss_may_be_one_of_several_objectives(machine: Machine) -> None:
    training = machine.queued(REPORTS, trial=True)
    machine.store.studies.change_study_trial(training.id, {}, {"trial.objectives": ["a", "train_loss"]})
    assert machine.run(training) == 0
    done = machine.store.trainings.get_training(training.id)
    assert done.trial is not None
    assert (done.trial.value, done.trial.values, done.trial.unmerged) == (None, [2.0, 1.0], training.job_id)


def test_a_script_that_never_reports_completes_by_its_exit_code(machine: Machine) -> None:
    training = machine.queued("print('quiet')")
    assert machine.run(training) == 0
    done = machine.store.trainings.get_training(training.id)
    assert (done.status, done.evaluation) == (TrainingStatus.COMPLETED, None)


def test_the_training_loss_counts_where_it_is_all_there_is(machine: Machine) -> None:
    training = machine.queued("import mitorch_service as m\nm.report(epoch=1, train_loss=0.5)")
    machine.run(training)
    assert machine.store.trainings.get_training(training.id).evaluation == {"train_loss": 0.5}


def test_a_script_that_fails_is_told_with_the_end_of_its_output(machine: Machine) -> None:
    training = machine.queued(REPORTS + "raise RuntimeError('no such luck')", max_retries=1)
    for status in (TrainingStatus.NEW, TrainingStatus.FAILED):
        assert machine.run(training) == 1
        done = machine.store.trainings.get_training(training.id)
        assert (done.status, done.attempts[-1].outcome) == (status, AttemptOutcome.FAILED)
        assert done.error is not None
        assert done.error.message == "the script ended with exit code 1; its last line: RuntimeError: no such luck"
        assert any(line.endswith("RuntimeError: no such luck") for line in done.error.log_tail)
        assert any("Traceback" in line for line in done.error.log_tail)
        if status == TrainingStatus.NEW:
            training = machine.claim(training)


@pytest.mark.parametrize("kill", ["os.kill(os.getpid(), 9)", "os._exit(137)"])
def test_a_script_that_is_killed_is_lost_and_tried_again(machine: Machine, kill: str) -> None:
    training = machine.queued(f"import os\n{kill}")
    assert machine.run(training) == EXIT_INFRASTRUCTURE
    row = machine.store.trainings.get_training(training.id)
    assert (row.status, row.attempts[0].outcome) == (TrainingStatus.NEW, AttemptOutcome.LOST)
    assert "out of memory" in str(row.attempts[0].reason)


def test_a_crash_is_an_error_of_the_script(machine: Machine) -> None:
    training = machine.queued("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    assert machine.run(training) == 1
    assert "was ended by SIGSEGV" in str(machine.store.trainings.get_training(training.id).attempts[0].reason)


def test_the_next_attempt_goes_on_from_the_checkpoint(machine: Machine) -> None:
    training = machine.queued(RESUMES, max_retries=1)
    assert machine.run(training) == 1
    assert machine.run(machine.claim(training)) == 0
    assert "begins at 3" in machine.log(training)
    curve = machine.store.runs.curve(training.id).items
    assert [result.epoch for result in curve] == [1, 2, 3, 4]
    done = machine.store.trainings.get_training(training.id)
    assert "/checkpoints/a0002-" in done.artifacts["checkpoint"]


ALL_DONE = """
import mitorch_service as m, os
from pathlib import Path
if m.last_checkpoint() is None:
    for epoch in (1, 2):
        m.report(epoch=epoch, train_loss=2 / epoch, val_loss=1 / epoch, metrics={"a": epoch})
        Path("state").write_text(str(epoch))
        m.checkpoint("state")
if AGAIN:
    m.checkpoint(m.last_checkpoint() or "state")
if os.environ["MITORCH_ATTEMPT"] in KILLED:
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize(("killed", "again"), [("1", False), ("12", True)])
def test_a_script_that_was_killed_after_its_last_report_has_its_value(
    machine: Machine, killed: str, again: bool
) -> None:
    training = machine.queued(ALL_DONE.replace("KILLED", repr(killed)).replace("AGAIN", str(again)), trial=True)
    for _ in killed:
        assert machine.run(training) == EXIT_INFRASTRUCTURE
        training = machine.claim(training)
    assert machine.run(training) == 0
    done = machine.store.trainings.get_training(training.id)
    assert (done.status, done.evaluation) == (TrainingStatus.COMPLETED, {"val_loss": 0.5, "a": 2.0})
    assert done.trial is not None
    assert done.trial.value == 0.5
    assert done.progress is not None
    assert done.progress.epoch == 2


OWN_STATE = """
import mitorch_service as m, os, pathlib
own = pathlib.Path(OWN)
done = int(own.read_text()) if own.exists() else 0
for epoch in AGAIN if done else (1, 2, 3):
    m.report(epoch=epoch, val_loss=1 / epoch, metrics={"done": done})
own.write_text("3")
if not done:
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize(("again", "curve"), [((), [(1, 0), (2, 0), (3, 0)]), ((2,), [(1, 0), (2, 3)])])
def test_a_script_that_resumes_from_a_state_of_its_own_keeps_what_was_recorded_before(
    machine: Machine, again: tuple[int, ...], curve: list[tuple[int, int]]
) -> None:
    own = machine.folder / "own state"
    training = machine.queued(OWN_STATE.replace("OWN", repr(str(own))).replace("AGAIN", repr(again)), trial=True)
    assert machine.run(training) == EXIT_INFRASTRUCTURE
    assert machine.run(machine.claim(training)) == 0
    done = machine.store.trainings.get_training(training.id)
    results = machine.store.runs.curve(training.id).items
    assert [(result.epoch, result.metrics["done"]) for result in results] == curve
    assert done.trial is not None
    assert (done.status, done.trial.value) == (TrainingStatus.COMPLETED, 1 / curve[-1][0])


def test_results_behind_the_checkpoint_are_dropped(machine: Machine) -> None:
    code = (
        "import mitorch_service as m, sys\nif m.last_checkpoint(): sys.exit()\nopen('s', 'w').close()\n"
        "m.report(epoch=1)\nm.checkpoint('s')\nm.report(epoch=2)\nsys.exit(1)"
    )
    training = machine.queued(code, max_retries=1)
    machine.run(training)
    machine.run(machine.claim(training))
    assert [result.epoch for result in machine.store.runs.curve(training.id).items] == [1]


def test_epochs_that_were_reported_but_not_recorded_before_a_kill_are_made_up_for(machine: Machine) -> None:
    training = machine.queued(RESUMES, max_retries=1)
    assert machine.run(training) == 1
    primitives(machine.store).remove_between("training_results", f"{training.id}:", f"{training.id};")
    assert machine.run(machine.claim(training)) == 0
    assert [result.epoch for result in machine.store.runs.curve(training.id).items] == [1, 2, 3, 4]


def test_a_script_that_asks_ends_by_itself_when_it_is_canceled(machine: Machine) -> None:
    code = "open('s', 'w').close()\nwhile not m.should_stop(): m.report(epoch=1)\nm.checkpoint('s')"
    training = machine.queued(f"import mitorch_service as m\n{code}")

    def cancel(operation: str) -> None:
        if operation == "put":  # of the first epoch
            machine.store.queue.request_cancel(training.id, NOW)

    assert machine.run(training, HookedStore(machine.store, cancel)) == 0
    done = machine.store.trainings.get_training(training.id)
    assert (done.status, done.attempts[0].reason) == (TrainingStatus.CANCELED, "stopped on request")
    assert {"checkpoint", "log", "environment"} == done.artifacts.keys()


@pytest.mark.parametrize(("max_epochs", "is_done"), [(0, False), (1, True)])
def test_a_script_hears_of_the_time_limit_and_goes_on_in_another_run(
    machine: Machine, max_epochs: int, is_done: bool
) -> None:
    """Unless it has done its work: by its exit code alone one cannot know."""
    code = "open('s', 'w').close()\nm.report(epoch=1)\nwhile not m.should_stop(): pass\nm.checkpoint('s')"
    training = machine.queued(f"import mitorch_service as m\n{code}", max_epochs=max_epochs)

    def limit(operation: str) -> None:
        if operation == "put":  # of the first epoch
            machine.checkpoint.wait_for_checkpoint(0.0)

    assert machine.run(training, HookedStore(machine.store, limit)) == (0 if is_done else EXIT_INFRASTRUCTURE)
    assert machine.checkpoint.wait_for_checkpoint(0.0) is False  # nothing trains any more
    assert not machine.checkpoint.is_open()  # it was answered
    row = machine.store.trainings.get_training(training.id)
    assert row.status == (TrainingStatus.COMPLETED if is_done else TrainingStatus.NEW)
    assert row.attempts[0].timed_out == row.attempts[0].preempted == (not is_done)


def test_a_script_that_never_asks_is_ended_when_it_is_canceled(machine: Machine) -> None:
    machine.stop.set()
    training = machine.queued("import time\nwhile True: time.sleep(60)", max_retries=3)
    assert machine.run(training) == 0
    assert machine.store.trainings.get_training(training.id).status == TrainingStatus.CANCELED


def test_an_attempt_that_was_taken_over_writes_nothing_more(machine: Machine) -> None:
    training = machine.queued("import mitorch_service as m\nwhile not m.should_stop(): m.report(epoch=1)")

    def take_over(operation: str) -> None:
        if operation == "put" and machine.store.trainings.get_training(training.id).attempt == 1:
            machine.store.runs.retry_attempt(
                training.id, 1, str(machine.store.trainings.get_training(training.id).worker), NOW, LOST
            )
            machine.claim(training)

    assert machine.run(training, HookedStore(machine.store, take_over)) == 0
    row = machine.store.trainings.get_training(training.id)
    assert (row.status, row.attempt) == (TrainingStatus.QUEUED, 2)


def test_parameters_reach_the_script(machine: Machine) -> None:
    code = "import sys, json, os, mitorch_service as m\nprint(sys.argv[1:], m.parameters(), os.environ['A'])"
    training = machine.queued(code, parameters={"lr": 0.1, "deep": {"n": 2}}, script={"env": {"A": "one"}})
    machine.run(training)
    assert "['--lr=0.1', '--deep.n=2'] {'lr': 0.1, 'deep': {'n': 2}} one" in machine.log(training)


def test_credentials_do_not_reach_the_script_or_the_log(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MITORCH_DB_URI", "mongodb://u:p@h")
    code = "import os, json\nprint(json.dumps({k: v for k, v in os.environ.items() if 'MITORCH' in k or 'TOKEN' in k}))"
    training = machine.queued(code, script={"env": {"MY_TOKEN": "hush-hush"}})
    machine.run(training)
    line = next(line for line in machine.log(training).splitlines() if "{" in line)
    found = json.loads(line[line.index("{") :])
    assert found.keys() == {f"MITORCH_{n}" for n in ("REPORT", "PARAMETERS", "TRAINING", "ATTEMPT", "OUTPUT")} | {
        "MY_TOKEN"
    }
    assert found["MY_TOKEN"] == "***"
    assert "hush" not in machine.log(training)


def test_a_script_finds_its_data_set(machine: Machine) -> None:
    train, val = DatasetSplit(path="/data/train.txt"), DatasetSplit(path="/data/val.txt")
    machine.store.datasets.add_dataset(Dataset(id="d:1", name="d", version=1, train=train, val=val, created_at=NOW))
    code = "import os, sys\nprint(sys.argv[1:], os.environ['MITORCH_VAL'])"
    command = {"command": ["python", "train.py", "--data", "{train}"]}
    training = machine.queued(code, script=command, dataset={"name": "d", "version": 1})
    machine.run(training)
    assert "['--data', '/data/train.txt'] /data/val.txt" in machine.log(training)


def test_what_it_leaves_in_its_output_folder_is_kept(machine: Machine) -> None:
    code = "out = Path(os.environ['MITORCH_OUTPUT'], 'a')\nout.mkdir()\n(out / 'm.pt').write_text('w')"
    training = machine.queued(f"import os\nfrom pathlib import Path\n{code}")
    machine.run(training)
    address = machine.store.trainings.get_training(training.id).artifacts["output"]
    assert Path(address, "a", "m.pt").read_text() == "w"


def test_pictures_and_tables_are_kept_and_shown_where_it_runs(machine: Machine) -> None:
    code = "import mitorch_service as m\nm.log_image('curve', b'\\x89PNG\\r\\n\\x1a\\n of it')\n"
    training = machine.queued(
        f"{code}m.log_table('per class', [{{'class': 'a', 'AP': 0.5}}, {{'class': 'b', 'n': 1}}])"
    )
    shown: list[list[str]] = []

    class Shows(Node):
        def training_ended(self, evaluation: Mapping[str, float], plots: Path) -> None:
            shown.append(sorted(file.name for file in plots.iterdir()))

    machine.run(training, node=Shows())
    assert shown == [["curve.png", "per class.csv"]]
    address = machine.store.trainings.get_training(training.id).artifacts["output"]
    assert Path(address, "per class.csv").read_text() == "class,AP,n\na,0.5,\nb,,1\n"
    assert Path(address, "curve.png").read_bytes() == b"\x89PNG\r\n\x1a\n of it"


def test_pictures_and_tables_by_hand_and_wrong_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MITORCH_OUTPUT", raising=False)
    log_table("a", [{"x": 1}])  # by hand: nothing
    monkeypatch.setenv("MITORCH_OUTPUT", str(tmp_path))
    with pytest.raises(ValueError, match="neither a PNG nor a JPEG"):
        log_image("a", b"GIF89a")
    with pytest.raises(ValueError, match="has no rows"):
        log_table("a", [])
    with pytest.raises(ValueError, match="letters, digits"):
        log_table("../a", [{"x": 1}])
    assert list(tmp_path.iterdir()) == []


def test_code_that_is_gone_is_an_error(machine: Machine) -> None:
    training = machine.queued("")
    machine.artifacts.delete("code/")
    assert machine.run(training) == 1
    assert "Submit the script again" in str(machine.store.trainings.get_training(training.id).attempts[0].reason)


def test_a_script_without_code_runs_in_an_empty_folder(machine: Machine) -> None:
    command = {"command": ["python", "-c", "import os; print('here', os.listdir())"], "code": None}
    training = machine.queued("", script=command)
    assert machine.run(training) == 0
    assert "here []" in machine.log(training)


@pytest.mark.parametrize("code", ["os.kill(os.getpid(), 19)", "while True: pass"])
def test_a_script_that_is_stopped_or_hung_is_lost(machine: Machine, code: str) -> None:
    training = machine.queued(f"import os\nprint('last words', flush=True)\n{code}", limits={"max_silence": 0.3})
    assert machine.run(training) == EXIT_INFRASTRUCTURE
    row = machine.store.trainings.get_training(training.id)
    assert (row.status, row.attempts[0].outcome) == (TrainingStatus.NEW, AttemptOutcome.LOST)
    assert "gave no sign of life for 0.3 s (max_silence): it was stopped or hung" in str(row.attempts[0].reason)


def test_a_long_log_keeps_its_limit(machine: Machine) -> None:
    code = "for n in range(600): print(f'line {n:05}')"
    training = machine.queued(code + "\nraise SystemExit(1)", limits={"log_limit": 10_000})
    machine.run(training)
    done = machine.store.trainings.get_training(training.id)
    assert len(Path(done.artifacts["log"]).read_bytes()) < 11_000
    assert "line 00000" in machine.log(training)
    assert "line 00599" in machine.log(training)
    assert done.error is not None
    assert any("line 00599" in line for line in done.error.log_tail)


def test_a_file_whose_name_the_storage_cannot_hold_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """To repeat its upload for an hour, and then the whole training, would not help."""
    file = tmp_path / "file"
    file.write_text("x")
    uploads = [Upload("output", f"1/output/{name}", file, suffix=f"/{name}") for name in ("a\0b", "c", "../../../d")]
    end = Work(RunEnd(AttemptOutcome.COMPLETED), uploads, None).deliver(FolderArtifactStore(tmp_path / "store"))
    assert end.artifacts == {"output": str(tmp_path / "store" / "1" / "output")}
    assert [record.getMessage().count("is left out") for record in caplog.records] == [1, 1]
