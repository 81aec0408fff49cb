"""A condition that lasts is announced once for each time that it begins."""

from __future__ import annotations

from mitorch_service.backends.base import Capacity
from mitorch_service.controller.notify.conditions import Observed, advanced, observed_conditions
from mitorch_service.controller.plan.leaks import unexplained_nodes
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.models.notification import Condition
from mitorch_service.models.status import TrainingStatus
from mitorch_service.webhook_settings.webhook import EventKind
from tests.samples import NOW, a_training, an_attempt, later

MINUTE = 60


def follow(observations: str, after: float = 0) -> list[int]:
    """The episode after each observation, ten minutes apart: ``x`` it is there, ``.`` it is not."""
    condition = Condition(id="c")
    episodes = []
    for number, one in enumerate(observations):
        seen = Observed(EventKind.CLUSTER_LEAK, "gpu", "there" if one == "x" else None, after=later(after) - NOW)
        condition = advanced(condition, seen, later(number * 10 * MINUTE))
        episodes.append(condition.episode)
    return episodes


def test_an_episode_is_over_after_half_an_hour_without_it() -> None:
    assert follow("xxxx") == [1, 1, 1, 1]
    assert follow("x.x..x") == [1, 1, 1, 1, 1, 1]  # a queue that was not read as far
    assert follow("x...x") == [1, 1, 1, 1, 2]
    assert follow("....") == [0, 0, 0, 0]


def test_what_must_last_is_announced_after_that_time_only() -> None:
    assert follow("xxxxx", after=30 * MINUTE) == [0, 0, 0, 1, 1]
    assert follow("xx", after=10 * MINUTE) == [0, 1]  # by passes that are far apart, too
    assert follow("xxx.xxx", after=30 * MINUTE) == [0] * 7
    assert follow("xxxx...xxxx", after=30 * MINUTE) == [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2]


def test_a_condition_that_lasts_is_stored_once_a_minute_at_most() -> None:
    seen = Observed(EventKind.CLUSTER_REFUSING, "gpu", "it refuses")
    condition = advanced(Condition(id="c"), seen, NOW)
    assert advanced(condition, seen, later(59)) == condition
    assert advanced(condition, seen, later(61)).seen_at == later(61)
    nothing = Observed(EventKind.CLUSTER_REFUSING, "gpu", None)
    assert advanced(Condition(id="c"), nothing, NOW) == Condition(id="c")


def test_nodes_that_are_busy_without_a_training_of_ours_are_a_leak() -> None:
    training = a_training(status=TrainingStatus.RUNNING, attempt=1)
    training = training.model_copy(update={"attempts": [an_attempt(training, cluster="gpu")]})
    clusters = {"gpu": Capacity(4, 2), "cpu": Capacity(3, 3)}
    snapshot = Snapshot(active=[training], clusters=clusters, configured=frozenset({"gpu", "cpu", "down"}))
    assert unexplained_nodes(snapshot) == {"gpu": 1, "cpu": 0}
    found = {(one.kind.value, one.about): one.text for one in observed_conditions(NOW, snapshot)}
    assert set(found) == {
        *(("cluster.refusing", name) for name in ("gpu", "cpu", "down")),
        *(("cluster.leak", name) for name in ("gpu", "cpu")),
    }
    assert [key for key, text in found.items() if text] == [("cluster.leak", "gpu")]
    assert "1 node is busy or unusable" in str(found["cluster.leak", "gpu"])
