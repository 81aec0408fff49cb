"""Kills and stops processes at random, and remembers whom it has touched."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from mitorch_service.models.training import run_of
from tests.chaos.database import Database
from tests.chaos.folders import MAX_SILENCE, Folders
from tests.chaos.processes import Process, living
from tests.chaos.seen_checkpoints import SeenCheckpoints
from tests.chaos.submitter import ACCEPTED
from tests.chaos.workload import is_engine

_PAUSE_SECONDS = 1.0  # from one trouble to the next, on average; more on a machine that takes longer for what is hit
_PATIENCE = 3  # of these pauses, for a role that was not hit yet
_STARTS = 1.5  # of a program of the product, in that time
WHOM = ("script", "guard", "run", "supervisor", "controller", "submitter")  # are hit before anything else
SERVER = "server"
ENGINE = "run of the engine at its first checkpoint"
_FIRST_RUN_SECONDS = 300.0  # until a script lives, before which there is nothing to hit
_MORE_SECONDS = 300.0  # for what has not been hit in time
_SHORT, _LONG = (0.3, 6.0), (MAX_SILENCE + 2, MAX_SILENCE + 8)  # seconds for which a process is stopped
_LONG_SHARE = 0.2
_KILLED_SHARE = 0.3  # of the stopped ones
_ENGINE_SPARED = 0.8  # of the hits: PyTorch takes seconds to start, and all its runs would be lost while they do
_ENGINE_SHARE = 0.5  # of the engine's runs are killed once they have stored their training's first checkpoint
# The roles that are hit together, by how often.
_TOGETHER = {
    ("script",): 8,
    ("guard",): 4,
    ("run",): 8,
    ("supervisor",): 6,
    ("supervisor", "run"): 6,
    ("guard", "run"): 6,
    ("supervisor", "guard", "run"): 3,
    ("supervisor", "guard", "run", "script"): 4,
}


@dataclass
class Trouble:
    """Random kills and stops, drawn from a seed; which processes there are to hit depends on the machine."""

    folders: Folders
    database: Database
    draw: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    touched: set[str] = field(default_factory=set)  # run names
    touched_processes: set[tuple[int, float]] = field(default_factory=set)  # ids with their starts, in clock ticks
    hits: Counter[str] = field(default_factory=Counter)  # kills and stops by role, and of the server
    most_at_once: int = 0  # runs with a living process
    outlived: set[str] = field(default_factory=set)  # names of the runs that lived beside a later one of their training
    pause_seconds: float = _PAUSE_SECONDS
    _due: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    _last: list[Process] = field(default_factory=list)
    _prey: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.checkpoints = SeenCheckpoints(self.folders)

    def keep_pace(self, start_seconds: float) -> None:
        """Makes trouble as often as the machine can stand: if a program takes so long to start, no run would come to
        its end between two hits of a faster one's."""
        self.pause_seconds = max(_PAUSE_SECONDS, _STARTS * start_seconds)

    def make(self, seconds: float) -> None:
        """Makes trouble for so long once a run lives, and longer if some role was not hit yet; ends with everything
        continued."""
        self._wait_for_a_run()
        end = time.monotonic() + seconds
        next_at = time.monotonic()
        while (now := time.monotonic()) < end or (self.missed() and now < end + _MORE_SECONDS):
            self._look()
            self._hit_engine()
            for at, action in [*self._due]:
                if at <= now:
                    self._due.remove((at, action))
                    action()
            if now >= next_at and self._once(patient=now < next_at + _PATIENCE * self.pause_seconds):
                next_at = time.monotonic() + self.draw.expovariate(1 / self.pause_seconds)
            time.sleep(0.1)
        self.end()

    def end(self) -> None:
        """Continues what is stopped, and starts what is down."""
        for _, action in self._due:
            action()
        self._due.clear()
        self.database.repair()
        for process in living(self.folders.root):
            process.send(signal.SIGCONT)

    def missed(self) -> list[str]:
        """The roles that were never hit."""
        whom = (*WHOM, SERVER) if self.database.troubles else WHOM
        return [role for role in (*whom, ENGINE) if not self.hits[role]]

    def _wait_for_a_run(self) -> None:
        end = time.monotonic() + _FIRST_RUN_SECONDS
        while time.monotonic() < end and not any(process.role == "script" for process in self._last):
            time.sleep(0.1)
            self._look()

    def _look(self) -> None:
        self._last = [*living(self.folders.root)]
        at_work = {process.run for process in self._last if process.run and process.role in ("run", "script")}
        self.most_at_once = max(self.most_at_once, len(at_work))
        places = sorted((*place, run) for run in at_work if (place := run_of(run)))
        self.outlived |= {one[2] for one, next in pairwise(places) if one[0] == next[0]}

    def _hit_engine(self) -> None:
        """Kills runs of the engine whose training has something to resume from."""
        for run in self.checkpoints.look({process.run for process in self._last if process.run}):
            if not self.hits[ENGINE] or self.draw.random() < _ENGINE_SHARE:
                processes = [process for process in self._last if process.run == run and process.role == "run"]
                self._send(processes, signal.SIGKILL, ENGINE)
                self.hits[ENGINE] += len(processes)

    def _once(self, patient: bool) -> bool:
        """Hits each role once, as soon as it is there, then at random. Returns False if it waits for a role."""
        spared = self._spared()
        self._prey = [process for process in self._last if process.run not in spared]
        missed = [role for role in self.missed() if role != ENGINE]  # which is hit when its time has come
        here = {SERVER, *(process.role for process in self._prey)}
        found = [role for role in missed if role in here]
        if found:
            self._hit_first(self.draw.choice(found))
        elif not missed or not patient:
            self._hit_any()
        return bool(found) or not missed or not patient

    def _spared(self) -> set[str | None]:
        """The engine's runs, until one of them was hit at its checkpoint and has resumed, and mostly later on."""
        if self.checkpoints.has_resumed() and self.draw.random() >= _ENGINE_SPARED:
            return set()
        ids = {line["id"] for line in self.folders.lines(ACCEPTED) if is_engine(line["name"])}
        return {process.run for process in self._last if process.run and (run_of(process.run) or ("", 0))[0] in ids}

    def _hit_first(self, role: str) -> None:
        of_database = self.database.troubles
        if role == SERVER:
            self._database(self.draw.choices([*of_database], [*of_database.values()])[0])
        else:
            self._hit(role, self.draw.choice((signal.SIGKILL, signal.SIGSTOP)))

    def _hit_any(self) -> None:
        of_database = self.database.troubles
        kinds: list[tuple[Callable[[], None], int]] = [
            (self._kill_run, 30),
            (self._stop_run, 20),
            (lambda: self._hit("controller", signal.SIGKILL), 14),
            (lambda: self._hit("controller", signal.SIGSTOP), 10),
            (lambda: self._hit("submitter", signal.SIGKILL), 3),
            (lambda: self._hit("submitter", signal.SIGSTOP), 2),
            (self._kill_everything, 2),
            *((lambda name=name: self._database(name), weight) for name, weight in of_database.items()),
        ]
        action = self.draw.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
        action()

    def _kill_run(self) -> None:
        roles, processes = self._parts()
        if processes:
            self._send(processes, signal.SIGKILL, "+".join(roles))

    def _stop_run(self) -> None:
        roles, processes = self._parts()
        if processes:
            self._stop(processes, "+".join(roles))

    def _parts(self) -> tuple[tuple[str, ...], list[Process]]:
        """Processes of one run."""
        runs = sorted({process.run for process in self._prey if process.run})
        roles = self.draw.choices([*_TOGETHER], [*_TOGETHER.values()])[0]
        run = self.draw.choice(runs) if runs else None
        return roles, [one for one in self._prey if one.run == run and one.role in roles]

    def _hit(self, role: str, number: signal.Signals) -> None:
        found = [process for process in self._prey if process.role == role]
        if found:
            one = [self.draw.choice(found)]
            if number == signal.SIGSTOP:
                self._stop(one, role)
            else:
                self._send(one, number, role)

    def _kill_everything(self) -> None:
        """As if the machine had been restarted."""
        self._send([process for process in self._prey if process.role != "submitter"], signal.SIGKILL, "everything")

    def _stop(self, processes: list[Process], what: str) -> None:
        self._send(processes, signal.SIGSTOP, what)
        long = self.draw.random() < _LONG_SHARE
        killed = self.draw.random() < _KILLED_SHARE
        after = signal.SIGKILL if killed else signal.SIGCONT
        name = what + (" while stopped" if killed else (" after a long stop" if long else ""))
        self._later(self.draw.uniform(*(_LONG if long else _SHORT)), lambda: self._send(processes, after, name))

    def _database(self, name: str) -> None:
        seconds = self.draw.uniform(0.2, 5.0)
        if self.database.make(name):
            self.hits[SERVER] += 1
            self._note(name, [])
            self._later(seconds, self.database.repair)

    def _later(self, seconds: float, action: Callable[[], object]) -> None:
        self._due.append((time.monotonic() + seconds, action))

    def _send(self, processes: list[Process], number: signal.Signals, what: str) -> None:
        if number != signal.SIGCONT:
            self.touched |= {process.run for process in processes if process.run}
            self.touched_processes |= {(process.pid, float(process.started)) for process in processes}
        reached = [process for process in processes if process.send(number)]
        if reached:
            if number != signal.SIGCONT:
                self.hits.update(process.role for process in reached)
            self._note(f"{number.name} {what}", reached)

    def _note(self, what: str, processes: list[Process]) -> None:
        self.counts[what] += 1
        hit = [[process.pid, process.role, process.run] for process in processes]
        self.folders.append("troubles.jsonl", at=round(time.time(), 3), what=what, processes=hit)
