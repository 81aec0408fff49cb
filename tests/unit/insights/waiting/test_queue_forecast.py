"""Expected starts: the controller's own placement replayed, against a simulation of its own and by hand."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from datetime import timedelta

from mitorch_service.backends.base import Capacity, RunStatus
from mitorch_service.controller.plan.placing.placement import Cluster
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.insights.waiting.queue_forecast import Held, forecast_starts
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Resources, TrainingRow
from tests.samples import NOW, a_training, an_attempt


def _waiting(number: int, **fields: object) -> TrainingRow:
    return a_training(arrival=1000 + number, **fields)


def _snapshot(queue: Sequence[TrainingRow], total: int, running: int = 0) -> Snapshot:
    """One cluster, `a`."""
    active = [a_training(status=TrainingStatus.RUNNING, attempt=1) for _ in range(running)]
    for row in active:
        row.attempts.append(an_attempt(row, cluster="a"))
    capacities = {"a": Capacity(total, total - running)}
    runs = {row.attempts[0].run_name: RunStatus(RunState.RUNNING) for row in active}
    facts = {name: Cluster(name) for name in capacities}
    return Snapshot(queue, active, runs, capacities, frozenset(capacities), (), facts)


def _seconds(span: timedelta) -> float:
    return span.total_seconds()


def test_a_queue_before_equal_nodes_starts_as_ends_come() -> None:
    queue = [_waiting(n) for n in range(4)]
    held = [Held("a", 1, 0.0, 100.0, ()), Held("a", 1, 0.0, 300.0, ())]
    found = forecast_starts(NOW, _snapshot(queue, 2, 2), held, {row.id: [1000.0] for row in queue})
    assert [_seconds(found[row.id].likely) for row in queue] == [100, 300, 1100, 1300]
    assert all(one.early == one.late for one in found.values())  # nothing is uncertain


def test_what_may_not_start_anywhere_has_no_expected_start() -> None:
    elsewhere, large = Resources(cluster=["nowhere"]), Resources(nodes=9)
    queue = [_waiting(0, resources=elsewhere), _waiting(1, resources=large), _waiting(2)]
    found = forecast_starts(NOW, _snapshot(queue, 2), [], {})
    assert list(found) == [queue[2].id]
    assert _seconds(found[queue[2].id].likely) == 0


def test_nothing_is_expected_behind_a_training_whose_length_nobody_knows() -> None:
    queue = [_waiting(0), _waiting(1)]
    found = forecast_starts(NOW, _snapshot(queue, 1), [], {})
    assert list(found) == [queue[0].id]


def test_several_nodes_are_kept_for_one_that_needs_them() -> None:
    queue = [_waiting(0, resources=Resources(nodes=2)), _waiting(1)]
    held = [Held("a", 1, 0.0, 100.0, ())]
    durations = {row.id: [1000.0] for row in queue}
    found = forecast_starts(NOW, _snapshot(queue, 2, 1), held, durations)
    assert [_seconds(found[row.id].likely) for row in queue] == [100, 1100]


def test_the_interval_is_that_of_a_simulation() -> None:
    nodes, draw = 3, random.Random(7)
    lengths = [draw.lognormvariate(6.0, 0.8) for _ in range(60)]
    queue = [_waiting(n) for n in range(12)]
    elapsed = 50.0
    held = [Held("a", 1, elapsed, None, lengths) for _ in range(nodes)]
    found = forecast_starts(NOW, _snapshot(queue, nodes, nodes), held, {row.id: lengths for row in queue}, replays=400)

    def simulated() -> list[float]:
        free = [draw.choice([one for one in lengths if one > elapsed]) - elapsed for _ in range(nodes)]
        heapq.heapify(free)
        starts = []
        for _ in queue:
            at = heapq.heappop(free)
            starts.append(at)
            heapq.heappush(free, at + draw.choice(lengths))
        return starts

    runs = [simulated() for _ in range(4000)]
    for index, row in enumerate(queue):
        starts = sorted(run[index] for run in runs)
        inside = sum(_seconds(found[row.id].early) <= one <= _seconds(found[row.id].late) for one in starts)
        assert 0.72 <= inside / len(starts) <= 0.88, index  # 80 % as it says
        low, high = starts[int(0.4 * len(starts))], starts[int(0.6 * len(starts))]
        assert low <= _seconds(found[row.id].likely) <= high, index


def test_passes_come_by_their_interval() -> None:
    queue = [_waiting(0)]
    expected = forecast_starts(NOW, _snapshot(queue, 1), [], {}, every=300.0)[queue[0].id]
    assert 0 <= _seconds(expected.early) < 100 < _seconds(expected.likely) < 200 < _seconds(expected.late) <= 300
