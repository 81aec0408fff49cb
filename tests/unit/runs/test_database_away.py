"""A database that is away, refuses or is full while an attempt runs: nothing that was trained is lost."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mitorch_service.errors import AccessRefused, StoreError, StoreUnavailable
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.base import new_id
from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.models.result import EpochResult
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.runs import attempt, attempt_end, store_reporter
from mitorch_service.runs.attempt_end import finished
from mitorch_service.runs.context import AttemptContext
from mitorch_service.runs.delivery import Upload, Work, deliver
from mitorch_service.runs.machine import MACHINE
from mitorch_service.runs.store_reporter import StoreReporter
from mitorch_service.runs.unwritten_results import UnwrittenResults
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd
from tests.fakes import FullStore, HookedStore
from tests.samples import NOW, a_result, a_training, a_trial, an_attempt, later
from tests.small_disk import tmpfs
from tests.unit.runs.machine import Runs

AWAY = StoreUnavailable("at db", "does not answer", "Wait.")
REFUSED = AccessRefused("at db", "not authorized (13)", "Check the rights.")
WRITES = ("change", "put")


class Trouble:
    """Makes a database's writes fail, until `error` is None."""

    def __init__(self, error: StoreError | None = None) -> None:
        self.error = error
        self.failures = 0
        self.tell: Callable[[int], None] = lambda failures: None

    def __call__(self, operation: str) -> None:
        if self.error is not None and operation in WRITES:
            self.failures += 1
            self.tell(self.failures)
            if self.error is not None:
                raise self.error


@pytest.fixture
def trouble() -> Trouble:
    return Trouble()


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour of trouble takes a moment."""
    monkeypatch.setattr(store_reporter, "backoff", lambda failures: 0.0005)
    monkeypatch.setattr("mitorch_service.stores.patience.backoff", lambda failures: 0.0005)
    monkeypatch.setattr("mitorch_service.runs.delivery.backoff", lambda failures: 0.0005)
    monkeypatch.setattr(attempt, "_PROMPT_SECONDS", 0.02)


@pytest.fixture
def training(store: Store) -> Training:
    """A training whose first attempt runs."""
    training = a_training()
    store.queue.add_trainings([training])
    store.queue.claim_training(training.id, an_attempt(training))
    return store.runs.start_training(training.id, 1, "worker", NOW)


class Script:
    """A script without a process of its own, which reports these epochs."""

    def __init__(self) -> None:
        self.epochs: tuple[int, ...] = (1, 2, 3)
        self.runs = 0

    def __call__(self, context: AttemptContext, reporter: StoreReporter) -> RunEnd:
        self.runs += 1
        for epoch in self.epochs:
            reporter.epoch_ended(a_result(epoch, metrics={"of_run": self.runs}))
        return finished(context.training, {"val_loss": 0.5}, {"output": "there"})


class Scripts(Runs):
    """A machine that keeps its files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.kept = self.undelivered = folder / "undelivered"
        self.script = Script()
        self.parts = replace(MACHINE, run_script=self.script)

    def queued(self) -> Training:
        """A trial that waits for its first attempt, claimed."""
        config = {"script": {"command": ["true"]}, "parameters": {}}
        training = a_trial(new_id(), 0, config=config, dataset=NO_DATASET, max_epochs=0)
        self.store.queue.add_trainings([training])
        return self.claim(training)

    def stored(self, training: Training) -> Training:
        return self.store.trainings.get_training(training.id)


@pytest.fixture
def scripts(tmp_path: Path) -> Iterator[Scripts]:
    machine = Scripts(tmp_path)
    yield machine
    machine.store.close()


def reporter_of(store: Store, training: Training, folder: Path | None) -> StoreReporter:
    kept = UnwrittenResults(folder, training.id)
    return StoreReporter(store, training.id, 1, 500, lambda: later(9), threading.Event(), unwritten=kept)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def epochs(store: Store, training: Training) -> list[int]:
    return [result.epoch for result in store.runs.curve(training.id).items]


@pytest.mark.parametrize("error", [AWAY, REFUSED])
def test_results_of_an_hour_of_trouble_are_on_disk_and_then_delivered_in_order(
    store: Store, training: Training, trouble: Trouble, tmp_path: Path, error: StoreError
) -> None:
    trouble.error = error
    reporter = reporter_of(HookedStore(store, trouble), training, tmp_path)
    for epoch in range(1, 121):  # one each half a minute
        reporter.epoch_ended(a_result(epoch))
        assert not reporter.should_stop()
    wait_for(lambda: trouble.failures > 20)  # more than a record that is refused for itself is tried
    kept = UnwrittenResults(tmp_path, training.id)
    wait_for(lambda: len(kept.read()) == 120)
    assert kept.read() == [a_result(epoch) for epoch in range(1, 121)]
    assert epochs(store, training) == []
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    trouble.error = None
    reporter.flush(20)
    reporter.close()
    assert epochs(store, training) == list(range(1, 121))
    assert list(tmp_path.iterdir()) == []


def test_what_is_recorded_at_once_is_not_written_to_disk(store: Store, training: Training, tmp_path: Path) -> None:
    folder = tmp_path / "undelivered"
    reporter = reporter_of(store, training, folder)
    reporter.epoch_ended(a_result(1))
    reporter.flush(20)
    reporter.close()
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_that_is_full_as_well_delays_and_loses_nothing(
    store: Store, training: Training, trouble: Trouble, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trouble.error = AWAY
    with tmpfs(tmp_path / "disk", "64k") as folder:
        (folder / "ballast").write_bytes(b"x" * 60_000)
        reporter = reporter_of(HookedStore(store, trouble), training, folder)
        for epoch in range(1, 121):
            reporter.epoch_ended(a_result(epoch))
        wait_for(lambda: "kept in memory only" in caplog.text)
        trouble.error = None
        reporter.flush(20)
        reporter.close()
    assert epochs(store, training) == list(range(1, 121))
    assert caplog.text.count("kept in memory only") == 1


def test_half_a_line_of_a_killed_process_spoils_no_other(tmp_path: Path) -> None:
    kept = UnwrittenResults(tmp_path, "a")
    kept.add([a_result(1), a_result(2, train_loss=float("inf"))])
    file = tmp_path / "a.jsonl"
    file.write_text(file.read_text() + '{"epoch": 3, "train_')
    kept.add([a_result(4)])
    assert [(one.epoch, one.train_loss) for one in kept.read()] == [
        (1, a_result(1).train_loss),
        (2, float("inf")),
        (4, a_result(4).train_loss),
    ]
    kept.forget()
    assert kept.read() == []
    assert UnwrittenResults(None, "a").read() == []


@pytest.mark.parametrize("error", [AWAY, REFUSED])
def test_a_run_that_ends_while_the_database_is_away_waits_and_is_completed(
    scripts: Scripts, trouble: Trouble, error: StoreError
) -> None:
    """It is back only after the end was kept and has been tried again."""
    training = scripts.queued()
    end = scripts.kept / training.id / "end.json"

    def back(failures: int) -> None:
        if end.exists():
            trouble.error = None

    def begin(operation: str) -> None:
        if scripts.script.runs and not end.exists():
            trouble.error, trouble.tell = error, back
        trouble(operation)

    assert scripts.run(training, HookedStore(scripts.store, begin)) == 0
    assert trouble.failures > 0
    assert (scripts.stored(training).status, scripts.stored(training).attempt) == (TrainingStatus.COMPLETED, 1)
    assert epochs(scripts.store, training) == [1, 2, 3]
    assert list(scripts.kept.iterdir()) == []


def test_a_run_that_was_killed_at_its_end_while_the_database_was_away_is_not_done_again(
    scripts: Scripts, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as disk and database tell, giving up is the same as being killed."""
    monkeypatch.setattr(attempt, "END_PATIENCE", 0.05)
    training = scripts.queued()

    def begin(operation: str) -> None:
        trouble.error = AWAY if scripts.script.runs else None
        trouble(operation)

    assert scripts.run(training, HookedStore(scripts.store, begin)) == EXIT_INFRASTRUCTURE
    assert scripts.stored(training).status == TrainingStatus.RUNNING
    assert epochs(scripts.store, training) == []
    scripts.lose(training)
    assert scripts.run(scripts.claim(training)) == 0
    done = scripts.stored(training)
    assert done.trial is not None
    assert (done.status, done.attempt, done.trial.value) == (TrainingStatus.COMPLETED, 2, 0.5)
    assert (done.artifacts["output"], epochs(scripts.store, training)) == ("there", [1, 2, 3])
    assert scripts.script.runs == 1
    assert list(scripts.kept.iterdir()) == []


def test_before_an_end_is_kept_the_results_are_while_a_database_hangs_that_has_refused_nothing(
    scripts: Scripts,
) -> None:
    """A run that was killed then was completed by the next attempt with none of its epochs."""
    training = scripts.queued()
    end, kept = scripts.kept / training.id / "end.json", UnwrittenResults(scripts.kept, training.id)
    found: list[list[int]] = []

    def hang(operation: str) -> None:
        if scripts.script.runs and operation in WRITES and not found:
            wait_for(end.exists)
            found.append([result.epoch for result in kept.read()])

    assert scripts.run(training, HookedStore(scripts.store, hang)) == 0
    assert found == [[1, 2, 3]]
    assert epochs(scripts.store, training) == [1, 2, 3]
    assert list(scripts.kept.iterdir()) == []


class Delivering(Script):
    """A script that leaves a file for the artifact store."""

    def __call__(self, context: AttemptContext, reporter: StoreReporter) -> RunEnd:
        end = super().__call__(context, reporter)
        file = context.folder / "weights"
        file.write_text("weights")
        work = Work(end, [Upload("model", f"{context.training.id}/model.pth", file)], 3)
        return deliver(context, work, reporter.keep_unwritten)


class WatchedStore(FullStore):
    """Takes no weights, and tells what is on disk when it is asked to."""

    def __init__(self, folder: Path, tell: Callable[[], None]) -> None:
        super().__init__(folder)
        self.refuses = "model.pth"
        self._tell = tell

    def put(self, key: str, source: Path) -> str:
        if key.endswith("model.pth"):
            self._tell()
        return super().put(key, source)


def hanging(scripts: Scripts, over: threading.Event) -> HookedStore:
    """Its database hangs from the first report on, without an answer."""

    def hang(operation: str) -> None:
        if scripts.script.runs and operation in WRITES:
            assert over.wait(20)

    return HookedStore(scripts.store, hang)


def test_results_are_on_disk_before_the_artifact_store_is_asked_and_before_the_work_is_kept(scripts: Scripts) -> None:
    """With a database that hangs a run was killed between the two, and the next delivered a training of no epochs."""
    scripts.script = Delivering()
    scripts.parts = replace(MACHINE, run_script=scripts.script)
    training, over = scripts.queued(), threading.Event()
    kept, found = UnwrittenResults(scripts.kept, training.id), list[list[int]]()

    def tell() -> None:
        found.append([result.epoch for result in kept.read()])

    def ends() -> None:
        wait_for((scripts.kept / training.id / "end.json").exists)
        tell()
        over.set()

    scripts.artifacts = WatchedStore(scripts.folder / "artifacts", tell)
    watch = threading.Thread(target=ends)
    watch.start()
    assert scripts.run(training, hanging(scripts, over)) == EXIT_INFRASTRUCTURE
    watch.join()
    assert found == [[1, 2, 3], [1, 2, 3]]
    assert epochs(scripts.store, training) == [1, 2, 3]
    scripts.artifacts.refuses = None
    assert scripts.run(scripts.claim(training)) == 0
    assert (scripts.stored(training).status, scripts.script.runs) == (TrainingStatus.COMPLETED, 1)
    assert list(scripts.kept.iterdir()) == []


def test_work_is_not_kept_without_its_results(scripts: Scripts) -> None:
    """It waits for the artifact store instead."""
    scripts.script = Delivering()
    scripts.parts = replace(MACHINE, run_script=scripts.script)
    training, over = scripts.queued(), threading.Event()
    scripts.kept.mkdir()
    (scripts.kept / f"{training.id}.jsonl").mkdir()  # stands for a disk that takes no more
    tries: list[bool] = []

    def tell() -> None:
        tries.append((scripts.kept / training.id).exists())
        if len(tries) == 2:
            artifacts.refuses = None
            over.set()

    artifacts = scripts.artifacts = WatchedStore(scripts.folder / "artifacts", tell)
    assert scripts.run(training, hanging(scripts, over)) == 0
    assert tries == [False, False]
    assert epochs(scripts.store, training) == [1, 2, 3]


@pytest.mark.parametrize("asked", [StoreReporter.should_stop, lambda reporter: reporter.epoch_ended(a_result(2))])
def test_a_result_that_a_database_takes_long_for_is_on_disk_meanwhile(
    store: Store,
    training: Training,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: Callable[[StoreReporter], object],
) -> None:
    """A script may report for hours to a database that hangs, and be killed."""
    monkeypatch.setattr(store_reporter, "_LATE_SECONDS", 0.01)
    over = threading.Event()

    def hang(operation: str) -> None:
        assert over.wait(20)

    reporter = reporter_of(HookedStore(store, hang), training, tmp_path)
    reporter.epoch_ended(a_result(1))
    assert list(tmp_path.iterdir()) == []
    time.sleep(0.011)
    asked(reporter)
    assert UnwrittenResults(tmp_path, training.id).read()[0] == a_result(1)
    over.set()
    reporter.flush(20)
    reporter.close()
    assert list(tmp_path.iterdir()) == []


def test_a_trial_that_waits_for_its_search_has_its_result_on_disk(
    store: Store, training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_reporter, "_LATE_SECONDS", 0.01)
    over, kept = threading.Event(), UnwrittenResults(tmp_path, training.id)

    def hang(operation: str) -> None:
        if not over.is_set():
            wait_for(lambda: bool(kept.read()))
            over.set()

    class Search:
        decision = None

        def ends_after(self, result: EpochResult) -> bool:
            return False

    reporter = StoreReporter(
        HookedStore(store, hang),
        *(training.id, 1, 500, lambda: later(9), threading.Event()),
        stopping=Search(),  # type: ignore[arg-type]
        unwritten=kept,
    )
    reporter.epoch_ended(a_result(1))
    assert over.is_set()
    reporter.close()


def test_an_end_whose_results_cannot_be_kept_is_not_kept_either(scripts: Scripts, trouble: Trouble) -> None:
    training = scripts.queued()
    scripts.kept.mkdir()
    (scripts.kept / f"{training.id}.jsonl").mkdir()  # stands for a disk that takes no more

    kept: set[bool] = set()

    def away(operation: str) -> None:
        kept.add((scripts.kept / training.id).exists())
        trouble.error = AWAY if scripts.script.runs and trouble.failures < 200 else None
        trouble(operation)

    assert scripts.run(training, HookedStore(scripts.store, away)) == 0
    assert kept == {False}
    assert epochs(scripts.store, training) == [1, 2, 3]


def test_what_a_killed_run_had_on_disk_is_recorded_by_the_next_up_to_where_it_goes_on(scripts: Scripts) -> None:
    """A script that has no checkpoint tells by its first report from where that is."""
    training = scripts.queued()
    kept = UnwrittenResults(scripts.undelivered, training.id)
    kept.add([a_result(epoch) for epoch in (1, 2, 3, 4)])
    scripts.lose(training)
    scripts.script.epochs = (3,)
    assert scripts.run(scripts.claim(training)) == 0
    curve = scripts.store.runs.curve(training.id).items
    assert [(one.epoch, "of_run" in one.metrics) for one in curve] == [(1, False), (2, False), (3, True)]
    assert kept.read() == []


def test_what_is_left_of_trainings_that_ended_elsewhere_is_removed(scripts: Scripts) -> None:
    ended, other = scripts.queued(), scripts.queued()
    assert scripts.run(ended) == 0
    for id in (ended.id, new_id(), other.id):
        UnwrittenResults(scripts.undelivered, id).add([a_result(1)])
    assert scripts.run(scripts.queued()) == 0
    assert [file.stem for file in scripts.kept.iterdir()] == [other.id]


def test_an_error_of_megabytes_still_ends_its_training() -> None:
    info = attempt_end.logged_error(StoreError("begin " + "x" * 2_000_000, "is there", "The end."))
    assert len(json.dumps(info.to_document())) < 11_000
    assert "begin xxx" in info.message
    assert info.message.endswith("The end.")
