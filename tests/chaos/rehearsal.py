"""One chaos run: the service at work, trouble, calm, checks."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from mitorch_service.errors import StoreUnavailable
from mitorch_service.models.status import ENDED_JOBS, OPEN
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.wiring import open_store
from tests.chaos import program
from tests.chaos.checks import violations
from tests.chaos.database import Database, MongoDatabase
from tests.chaos.engine_evidence import is_engine
from tests.chaos.engine_work import write_dataset
from tests.chaos.evidence import Evidence, read_documents, read_folders, touched_at_start
from tests.chaos.folders import SLOTS, Folders
from tests.chaos.processes import living
from tests.chaos.service import Service, submit_command
from tests.chaos.submitter import ENOUGH
from tests.chaos.trouble import Trouble

_STUCK_SECONDS = 300.0  # without a change, once nothing is hit any more: far more than a loaded machine needs
_MOST_EXITS = 10  # of controllers and submitters by themselves, above which the rest is no use
_LEAVE_SECONDS = 120.0  # for the processes of ended runs; a run that is canceled has 30 s
_POLL_SECONDS = 0.5


class Rehearsal:
    """A service in a folder, with its trouble."""

    def __init__(self, root: Path, store: str, seed: int, trainings: int, controllers: int) -> None:
        self._folders = Folders(root)
        shutil.copytree(Path(program.__file__).parent, self._folders.program, dirs_exist_ok=True)
        draw = random.Random(seed)
        home = self._folders.home
        self._database = Database(home) if store == "sqlite" else MongoDatabase(root / "db", draw)
        self._environment = self._folders.environment(self._database.uri)
        _register(self._folders, self._environment)
        command = submit_command(root, trainings, seed)
        self._service = Service(self._folders, self._environment, controllers, command)
        self._trouble = Trouble(self._folders, self._database, draw)
        self._evidence = Evidence(slots=SLOTS)
        self._seconds: dict[str, float] = {}

    def run(self, seconds: float) -> list[str]:
        """Makes trouble for so long; returns the violations."""
        self._trouble.keep_pace(_start_seconds(self._environment))
        begin = time.monotonic()
        try:
            with _kept_up(self._service):
                self._trouble.make(seconds)
                (self._folders.root / ENOUGH).touch()
                calm = time.monotonic()
                late = self._wait_for_the_end()
            ended = time.monotonic()
            self._service.end()
            self._leave()
            self._seconds = {"trouble": calm - begin, "calm": ended - calm, "leaving": time.monotonic() - ended}
            self._collect()
            missed = [f"no {role} was hit" for role in self._trouble.missed()]
            return [*late, *missed, *self._service.exits, *violations(self._evidence)]
        finally:
            self._trouble.end()
            self._service.end()
            self._kill_the_rest()
            self._database.close()

    def report(self) -> Iterator[str]:
        """Yields what was done, and what came of it."""
        evidence, trainings = self._evidence, self._evidence.trainings.values()
        yield ", ".join(f"{what} {seconds:.0f} s" for what, seconds in self._seconds.items())
        yield f"a trouble every {self._trouble.pause_seconds:.1f} s"
        yield "hit: " + ", ".join(f"{role} {times}" for role, times in self._trouble.hits.most_common())
        yield f"troubles: {sum(self._trouble.counts.values())}"
        yield from (f"  {times:4} {what}" for what, times in sorted(self._trouble.counts.items()))
        statuses = Counter(training.status.value for training in trainings)
        yield f"trainings: {len(trainings)} {dict(statuses)}, {len(evidence.accepted)} submissions accepted"
        outcomes = Counter(str(attempt.outcome) for training in trainings for attempt in training.attempts)
        yield f"attempts: {sum(outcomes.values())} {dict(outcomes)}, at most {evidence.most_at_once} at once"
        reasons = Counter(
            f"{attempt.outcome}: {attempt.reason}"
            for training in trainings
            for attempt in training.attempts
            if attempt.outcome in ("lost", "blocked", "failed")
        )
        yield from (f"  {times:4} {reason}" for reason, times in reasons.most_common())
        yield self._of_engine()
        jobs = {job.name: f"{job.status} {job.counts}" for job in evidence.jobs.values()}
        yield f"searches: {jobs}"

    def _of_engine(self) -> str:
        trainings = [one for one in self._evidence.trainings.values() if is_engine(one)]
        statuses = Counter(training.status.value for training in trainings)
        notes = [note for training in trainings for note in self._evidence.notes.get(training.id, ())]
        resumed = sum(note["event"] == "resume" for note in notes)
        return f"of the engine: {len(trainings)} trainings {dict(statuses)}, {resumed} attempts resumed"

    def _wait_for_the_end(self) -> list[str]:
        """Waits until all is submitted and has ended; says so if nothing changes any more."""
        store, last, since = self._open(), "", time.monotonic()
        while time.monotonic() - since < _STUCK_SECONDS and len(self._service.exits) < _MOST_EXITS:
            with suppress(StoreUnavailable):
                if self._service.submitted and _all_ended(store):
                    return []
                now = f"{store.trainings.count_trainings()}{sum(1 for _ in self._folders.home.glob('runs/*'))}"
                last, since = now, since if now == last else time.monotonic()
            time.sleep(_POLL_SECONDS)
        return ["it does not come to an end"]

    def _leave(self) -> None:
        end = time.monotonic() + _LEAVE_SECONDS
        while time.monotonic() < end and any(living(self._folders.root)):
            time.sleep(_POLL_SECONDS)

    def _collect(self) -> None:
        store = self._open()
        read_documents(self._evidence, store)
        store.close()
        self._evidence.engine.checkpoints = self._trouble.checkpoints.epochs
        read_folders(self._evidence, self._folders)
        self._evidence.exact_up_to = self._database.exact_up_to
        self._evidence.damage = self._database.damage()
        self._evidence.touched = {
            *self._trouble.touched,
            *touched_at_start(self._folders, self._trouble.touched_processes),
        }
        self._evidence.outlived = self._trouble.outlived
        self._evidence.most_at_once = self._trouble.most_at_once

    def _open(self) -> Store:
        return open_store(read_settings(self._environment))

    def _kill_the_rest(self) -> None:
        for process in living(self._folders.root):
            process.send(signal.SIGKILL)


def _start_seconds(environment: Mapping[str, str]) -> float:
    """How long a program of the product takes to start here and now."""
    begin = time.monotonic()
    command = [sys.executable, "-c", "import mitorch_service.client.client, mitorch_service.wiring"]
    subprocess.run(command, env={**environment}, check=True)
    return time.monotonic() - begin


def _register(folders: Folders, environment: Mapping[str, str]) -> None:
    """Registers the data set of the engine's trainings, before anything is hit."""
    definition = write_dataset(folders.dataset)
    command = [sys.executable, "-m", "mitorch_service.cli.main", "dataset", "register", str(definition)]
    subprocess.run(command, env={**environment}, cwd=folders.root, check=True, stdout=subprocess.DEVNULL)


def _all_ended(store: Store) -> bool:
    counts = store.trainings.count_trainings()
    jobs = store.backup.documents("jobs")
    return not any(counts.get(status) for status in OPEN) and all(job["status"] in ENDED_JOBS for job in jobs)


@contextmanager
def _kept_up(service: Service) -> Iterator[None]:
    """Starts again what has ended, in a thread, for this context."""
    over = threading.Event()

    def work() -> None:
        service.keep_up()
        while not over.wait(_POLL_SECONDS):
            service.keep_up()

    thread = threading.Thread(target=work, name="service")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
