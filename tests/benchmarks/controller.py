"""Whole passes of the controller on a database of N queued and N finished trainings, on a cluster that does nothing.

    python -m tests.benchmarks.controller --store sqlite|mongo --n N [--keep DIR]

The floor of an assigning pass: the raw driver finds the head of the queue and changes it twice, once before and once
after the backend's calls, guarded, in batches. That of an idle pass: it reads the head of the queue and what is active.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime

from mitorch_service.backends.base import Backend, Capacity, RunRequest, RunStatus
from mitorch_service.controller.loop import Controller
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.training import Resources, run_name
from mitorch_service.stores.base import Store
from tests.benchmarks.filling import filled
from tests.benchmarks.floors import Floor, open_floor
from tests.benchmarks.measuring import Scale, arguments, compare, in_turns, repeated, report, timed
from tests.benchmarks.store import BATCH, give_back


class NullBackend(Backend):
    """Accepts every run at once, says of each that it runs, and executes nothing."""

    def __init__(self, slots: int) -> None:
        self.slots = slots

    def prepare(self, training_id: str, attempt: int, resources: Resources | None = None) -> RunRequest:
        return RunRequest(run_name(training_id, attempt), ("null", training_id, str(attempt)))

    def submit(self, request: RunRequest) -> str | None:
        return f"https://null.example/{request.name}"

    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        return {name: RunStatus(RunState.RUNNING) for name in names}

    def cancel(self, name: str) -> None:
        pass

    def logs(self, name: str, max_bytes: int = 65536) -> str:
        return ""

    def capacity(self) -> Capacity:
        return Capacity(self.slots, self.slots)


class Passes:
    """A controller on a filled database, and what puts back what its passes have assigned."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._backend = NullBackend(0)
        self._controller = Controller(store, {"null": self._backend})

    def assigning(self) -> float:
        """Seconds of a pass that assigns a batch, which is given back."""
        self._backend.slots = BATCH
        seconds = timed(self.tick)
        active = self._store.queue.active_trainings().items
        assert len(active) == BATCH, f"{len(active)} of {BATCH} were assigned"
        give_back(self._store, [(row.id, row.attempt) for row in active])
        return seconds

    def fill_cluster(self) -> None:
        """Assigns a batch that stays; afterwards nothing is free."""
        self._backend.slots = BATCH
        self.tick()

    def empty_cluster(self) -> None:
        """Gives all that is assigned back; afterwards there are no slots."""
        self._backend.slots = 0
        give_back(self._store, [(row.id, row.attempt) for row in self._store.queue.active_trainings().items])

    def tick(self) -> None:
        """One pass."""
        self._controller.tick(datetime.now(UTC))


def measure(store: Store, floor: Floor, scale: Scale) -> None:
    """Prints the figures."""
    passes = Passes(store)
    passes.empty_cluster()
    seconds = in_turns({"ours": passes.assigning, "floor": lambda: floor.assign(BATCH, writes=2)}, scale.repeats)
    report(f"a pass that assigns {BATCH}", seconds["ours"] * 1000, "ms", seconds["floor"] * 1000, scale)
    report("assignments of a pass", BATCH / seconds["ours"], "1/s", BATCH / seconds["floor"], scale)
    passes.empty_cluster()
    compare("a pass with nothing to do", scale, repeated(passes.tick, 5), repeated(floor.observe, 5), "ms", 5)
    passes.fill_cluster()
    name = f"a pass with nothing to do, {BATCH} running"
    compare(name, scale, repeated(passes.tick, 5), repeated(floor.observe, 5), "ms", 5)
    passes.empty_cluster()


def main() -> None:
    given = arguments(__doc__).parse_args()
    with (
        filled(given.store, given.n, given.keep) as database,
        closing(database.open()) as store,
        closing(open_floor(database)) as floor,
    ):
        floor.assign(1)  # builds what it needs
        measure(store, floor, Scale(given.store, given.n, given.repeats))


if __name__ == "__main__":
    main()
