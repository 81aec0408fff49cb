"""Histories: a world that goes its way for some hundred steps, with everything that can go wrong, and then calms down.

In the end everything must have come to its end, and agree.
"""

from __future__ import annotations

import gc
import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

from mitorch_service.stores.primitives import Primitives
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.fakes import primitives
from tests.simulation.choices import Choices
from tests.simulation.final_checks import check_end
from tests.simulation.memory_database import MemoryDatabase
from tests.simulation.scheduler import MOST_CALM_STEPS, Fate, Violation
from tests.simulation.virtual_waiting import virtual_patience
from tests.simulation.world import World
from tests.simulation.world_events import EVENTS, FATES, Event

Thing = TypeVar("Thing")

LEAST_STEPS = 200
MORE_STEPS = 120
_CALM_PASSES = 300  # five hours: clocks that fall back by three delay by as much what silence tells
_RECOUNTS_TAKE = 4 * 3600.0  # seconds, wherever the clock of the database has been set meanwhile
_COLLECTED_AFTER = 20  # histories
Mutant = Callable[[World], None]
Focus = tuple[Sequence[Event], Sequence[Fate]]  # what goes wrong, and nothing else
Table = tuple[Sequence[Thing], Sequence[int]]  # things, and the running sums of their weights
_SOME = 5  # one of so many kinds of trouble is kept in a history of some kinds
_ON, _SWITCH, _DIE, _FATE, _EVENT = range(5)
_KINDS = tuple(accumulate((830, 60, 6, 44, 60)))  # how often: go on, go on with another, die before the call, …
_COLLECTIONS = ("trainings", "training_results", "jobs", "rungs", "controllers", "notifications")


@dataclass(frozen=True)
class Outcome:
    """The end of one history."""

    violation: str | None
    choices: Sequence[int]
    steps: int
    lines: Sequence[str] = ()


class Histories:
    """Runs histories one after the other in the same empty database."""

    def __init__(self, in_sqlite: bool = False) -> None:
        """`in_sqlite`: in the real SQLite leaf, which takes several times as long."""
        self._database: Primitives = primitives(SqliteStore(None)) if in_sqlite else MemoryDatabase()
        self._number = 0
        gc.freeze()  # else each look for garbage goes through all modules: an eighth of a history's time

    def run(
        self,
        choices: Choices,
        mutant: Mutant = lambda world: None,
        tracing: bool = False,
        focus: Focus | None = None,
    ) -> Outcome:
        """Runs one history, in which everything goes wrong, or what is in the `focus`."""
        with _silence(), self._cycles_are_kept():
            for collection in _COLLECTIONS:
                self._database.remove_between(collection, "", "\U0010ffff")  # type: ignore[arg-type]
            world = World(choices, self._database)
            world.witness.tracing = [] if tracing else None
            mutant(world)
            steps = 0
            violation = None
            with virtual_patience(world.scheduler):
                try:
                    steps = _go_wrong(world, focus)
                    steps += _calm_down(world)
                    check_end(world)
                except Violation as found:
                    violation = str(found)
                except Exception as error:  # noqa: BLE001 - which history it was must be known
                    violation = f"{type(error).__name__}: {error} ({traceback.format_exc(limit=-2)})"
                finally:
                    world.close()
            return Outcome(violation, choices.made, steps, world.witness.tracing or ())

    @contextmanager
    def _cycles_are_kept(self) -> Iterator[None]:
        """Looks for garbage after some histories, in place of all the time: an eighth of their time."""
        before = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            self._number += 1
            if self._number % _COLLECTED_AFTER == 0:
                gc.collect()
            if before:
                gc.enable()


def _go_wrong(world: World, focus: Focus | None) -> int:
    choices, scheduler = world.choices, world.scheduler
    events, fates = _tables(choices) if focus is None else (_even(focus[0]), _even(focus[1]))
    length = LEAST_STEPS + choices.below(MORE_STEPS)
    for step in range(length):
        if choices.exhausted:
            return step
        kind = choices.weighed(_KINDS)
        if kind == _EVENT:
            _drawn(choices, events)(world)
            continue
        thread = scheduler.first()
        while thread is None:
            scheduler.advance()
            thread = scheduler.first()
        if kind == _ON:
            scheduler.resume(thread)
            continue
        ready = scheduler.runnable()
        thread = ready[choices.below(len(ready))]
        if kind == _DIE:
            world.witness.note(f"{thread.process.name} dies before: {thread.label}")
            scheduler.kill(thread.process)
        elif kind == _FATE and thread.calls and fates[0]:
            fate = _drawn(choices, fates)
            if fate is Fate.FAILS_HALF and not thread.many:
                fate = Fate.FAILS_BEFORE
            world.witness.note(f"{thread.process.name}: {thread.label}: {fate.name}")
            scheduler.resume(thread, fate)
        else:
            scheduler.resume(thread)
    return length


def _calm_down(world: World) -> int:
    """Nothing goes wrong any more: whatever is open comes to its end."""
    scheduler = world.scheduler
    world.calm()
    scheduler.calm_steps = 0
    settled = None
    while scheduler.calm_steps < MOST_CALM_STEPS:
        thread = scheduler.first()
        if thread is None:
            if world.passes.done != settled:
                settled = world.passes.done
                if world.all_ended() and world.is_still():
                    if not world.some_are_recounted():
                        return scheduler.calm_steps
                    scheduler.now += _RECOUNTS_TAKE
            if world.passes.calm > _CALM_PASSES:
                break
            scheduler.advance()
            continue
        scheduler.calm_steps += 1
        scheduler.resume(thread)
    raise world.violated(f"not over: {world.open_things()}")


def _tables(choices: Choices) -> tuple[Table[Event], Table[Fate]]:
    """Returns what may go wrong in a history: everything, or in one of two histories some kinds alone, which then meet
    more often. (Groce et al., "Swarm testing", 2012.)"""
    if not choices.one_in(2):
        return _EVENTS, _FATES
    return _weighed(_some(choices, EVENTS)), _weighed(_some(choices, FATES))


def _some(choices: Choices, table: Sequence[tuple[int, Thing]]) -> Sequence[tuple[int, Thing]]:
    return [one for one in table if choices.one_in(_SOME)] or table


def _weighed(table: Sequence[tuple[int, Thing]]) -> Table[Thing]:
    return [thing for _, thing in table], tuple(accumulate(weight for weight, _ in table))


def _even(things: Sequence[Thing]) -> Table[Thing]:
    return _weighed([(1, thing) for thing in things])


def _drawn(choices: Choices, table: Table[Thing]) -> Thing:
    return table[0][choices.weighed(table[1])]


_EVENTS, _FATES = _weighed(EVENTS), _weighed(FATES)


@contextmanager
def _silence() -> Iterator[None]:
    log = logging.getLogger("mitorch")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)
