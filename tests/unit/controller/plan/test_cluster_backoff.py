"""Backoff: the trainings that are submitted again to a cluster that has refused some."""

from __future__ import annotations

from mitorch_service.backends.base import Capacity
from mitorch_service.controller.plan.actions import Launch
from mitorch_service.controller.plan.cluster_backoff import BACKOFF, ClusterBackoff
from mitorch_service.controller.plan.plan import plan
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.insights.waiting.why import why_training
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Resources, Training
from tests.samples import NOW, a_training, an_attempt, later

WORDS = "Cluster a: no. Do this."
BACKOFF_SECONDS = BACKOFF.total_seconds()


def refused(*clusters: str, at: float = 0.0, **fields: object) -> Training:
    """A training that waits again, refused by these one after the other at the same moment."""
    training = a_training(attempt=len(clusters), **fields)
    attempts = [
        an_attempt(training, number, cluster).model_copy(
            update={"outcome": AttemptOutcome.REFUSED, "ended_at": later(at), "reason": WORDS}
        )
        for number, cluster in enumerate(clusters, 1)
    ]
    return training.model_copy(update={"attempts": attempts})


def taken(cluster: str, at: float) -> Training:
    """A training that a cluster has accepted."""
    training = a_training(status=TrainingStatus.QUEUED, attempt=1)
    attempt = an_attempt(training, 1, cluster).model_copy(update={"submitted_at": later(at)})
    return training.model_copy(update={"attempts": [attempt]})


def launched(at: float, *queue: Training, active: tuple[Training, ...] = (), b: int = 0) -> list[tuple[str, str]]:
    """Places trainings on a cluster `a` with plenty of room and a cluster `b` with the given room."""
    clusters = {"a": Capacity(9, 9), "b": Capacity(9, b)}
    snapshot = Snapshot(queue=queue, active=active, clusters=clusters)
    actions = plan(later(at), snapshot)
    return [(a.training_id, a.attempt.cluster) for a in actions if isinstance(a, Launch)]


def test_a_cluster_that_has_refused_one_rests_and_others_are_asked_at_once() -> None:
    mine, other = refused("a"), a_training()
    assert launched(BACKOFF_SECONDS - 1, mine, other) == []
    assert launched(1, mine, other, b=1) == [(mine.id, "b")]
    assert launched(1, mine, other, b=2) == [(mine.id, "b"), (other.id, "b")]


def test_after_its_rest_it_is_asked_for_one_a_pass_until_it_takes_one() -> None:
    rows = [refused("a"), refused("a"), a_training()]
    assert launched(BACKOFF_SECONDS, *rows) == [(rows[0].id, "a")]
    accepted = taken("a", BACKOFF_SECONDS)
    assert launched(BACKOFF_SECONDS + 1, *rows[1:], active=(accepted,)) == [(row.id, "a") for row in rows[1:]]
    before = taken("a", -1)  # says nothing: that was before
    assert launched(1, *rows, active=(before,)) == []


def test_a_training_waits_longer_with_each_refusal_and_lets_another_try() -> None:
    often, fresh = refused("a", "a", "a"), refused("a")
    assert launched(BACKOFF_SECONDS, often, fresh) == [(fresh.id, "a")]
    assert launched(3 * BACKOFF_SECONDS - 1, often) == []
    assert launched(3 * BACKOFF_SECONDS, often) == [(often.id, "a")]


def test_one_that_was_refused_while_others_were_taken_keeps_nobody_away() -> None:
    mine, other = refused("a", at=10), a_training()
    assert launched(11, mine, other, active=(taken("a", 10),)) == [(other.id, "a")]


def test_refusals_before_a_retry_are_forgotten() -> None:
    assert launched(1, mine := refused("a", budget_from=1)) == [(mine.id, "a")]


def test_no_nodes_are_kept_where_one_is_not_let_in() -> None:
    big = refused("a", resources=Resources(nodes=20))
    small = a_training()
    clusters = {"a": Capacity(20, 3), "b": Capacity(9, 1)}
    actions = plan(later(1), Snapshot(queue=[big, small], clusters=clusters))
    assert [(a.training_id, a.attempt.cluster) for a in actions if isinstance(a, Launch)] == [(small.id, "b")]


def test_why_tells_who_refused_what_and_until_when() -> None:
    mine, other = refused("a"), a_training()
    snapshot = Snapshot(queue=[mine, other], clusters={"a": Capacity(9, 9)})
    again = f"retrying at {later(BACKOFF_SECONDS):%H:%M:%S}"
    assert why_training(later(1), mine, snapshot, 0).clusters == {"a": f"has refused it ({WORDS}): {again}"}
    told = why_training(later(1), other, snapshot, 1).clusters["a"]
    assert told == f"has refused training {mine.id[:8]} ({WORDS}): {again}"
    told = why_training(later(BACKOFF_SECONDS), other, snapshot, 1).clusters["a"]
    assert told.endswith("it gets one training a pass until it accepts one")
    often = refused("a", "a")
    told = why_training(later(1), often, Snapshot(queue=[often], clusters={"a": Capacity(9, 9)}), 0).clusters["a"]
    assert told.startswith("has refused it 2 times, most recently (")


def test_whoever_has_refused_nothing_is_open() -> None:
    backoff = ClusterBackoff(NOW, [refused("a")])
    backoff.record_probe(a_training(), "b")
    assert backoff.why_blocked(a_training(), "b") is None


def test_a_refusal_is_told_until_the_cluster_takes_one() -> None:
    mine = refused("a")
    told = f"has refused training {mine.id[:8]} ({WORDS})"
    again = later(BACKOFF_SECONDS)
    assert ClusterBackoff(later(1), [mine]).last_refusal("a") == f"{told}: retrying at {again:%H:%M:%S}"
    assert ClusterBackoff(again, [mine]).last_refusal("a") == told
    assert ClusterBackoff(again, [mine], [taken("a", 1)]).last_refusal("a") is None
    assert ClusterBackoff(again, [mine]).last_refusal("b") is None


def blocked(*clusters: str, at: float = 0.0, **fields: object) -> Training:
    """A training that waits again, as runs on these clusters could not write."""
    training = refused(*clusters, at=at, **fields)
    attempts = [one.model_copy(update={"outcome": AttemptOutcome.BLOCKED}) for one in training.attempts]
    return training.model_copy(update={"attempts": attempts})


def started(cluster: str, assigned: float, at: float | None = None) -> Training:
    """A training that was assigned to a cluster, and has perhaps started there."""
    training = taken(cluster, assigned)
    times = {"queued_at": later(assigned), "started_at": None if at is None else later(at)}
    return training.model_copy(update={"attempts": [training.attempts[0].model_copy(update=times)]})


def test_a_cluster_whose_runs_cannot_write_is_open_once_a_probe_has_started_not_once_it_was_taken() -> None:
    rows = [blocked("a"), blocked("a"), a_training()]
    assert launched(BACKOFF_SECONDS - 1, *rows) == []
    assert launched(BACKOFF_SECONDS, *rows) == [(rows[0].id, "a")]
    pending = started("a", BACKOFF_SECONDS)
    assert launched(5 * BACKOFF_SECONDS, *rows[1:], active=(pending,)) == []
    running = started("a", BACKOFF_SECONDS, BACKOFF_SECONDS + 9)
    assert launched(BACKOFF_SECONDS + 10, *rows[1:], active=(running,)) == [(row.id, "a") for row in rows[1:]]
    before = started("a", -9, -5)  # says nothing: that was before
    assert launched(1, *rows, active=(before,)) == []


def test_a_cluster_of_which_nothing_more_is_heard_is_open_again() -> None:
    rows = [blocked("a"), blocked("a"), a_training()]
    assert launched(2 * BACKOFF_SECONDS, *rows) == [(row.id, "a") for row in rows]


def test_a_training_waits_an_hour_at_most_and_goes_elsewhere_at_once() -> None:
    often = blocked(*["a"] * 40)
    assert launched(12 * BACKOFF_SECONDS - 1, often) == []
    assert launched(12 * BACKOFF_SECONDS, often) == [(often.id, "a")]
    assert launched(1, often, b=1) == [(often.id, "b")]


def test_one_whose_work_is_kept_goes_where_it_is() -> None:
    kept = blocked("a")
    kept = kept.model_copy(update={"attempts": [kept.attempts[0].model_copy(update={"kept": True})]})
    assert launched(1, kept, b=1) == []
    assert launched(BACKOFF_SECONDS, kept, b=1) == [(kept.id, "a")]
    snapshot = Snapshot(queue=[kept], clusters={"a": Capacity(9, 9), "b": Capacity(9, 9)})
    told = why_training(later(1), kept, snapshot, 0).clusters
    assert told["b"] == "its finished work is kept on a, which delivers it"
    gone = Snapshot(queue=[kept], clusters={"b": Capacity(9, 9)})
    assert [a.attempt.cluster for a in plan(later(1), gone) if isinstance(a, Launch)] == ["b"]
    retried = kept.model_copy(update={"budget_from": 1})
    assert launched(1, retried, b=1) == [(retried.id, "a")]


DIGITS, FACES = DatasetRef(name="digits", version=1), DatasetRef(name="faces", version=1)


def without_data(at: float = 0.0) -> Training:
    """A training whose data set was refused to its run on a cluster `a`."""
    training = blocked("a", at=at, dataset=FACES)
    return training.model_copy(
        update={"attempts": [one.model_copy(update={"of_data": True}) for one in training.attempts]}
    )


def test_a_data_set_that_is_refused_keeps_back_its_own_trainings_only() -> None:
    mine, same, other = without_data(), a_training(dataset=FACES), a_training(dataset=DIGITS)
    assert launched(1, mine, same, other) == [(other.id, "a")]
    assert launched(BACKOFF_SECONDS, mine, same, other) == [(mine.id, "a"), (other.id, "a")]  # one tries
    backoff = ClusterBackoff(later(1), [mine, same, other])
    assert backoff.blocked_clusters() == {}
    assert backoff.last_refusal("a") is None
    since = f"on a: rests since {NOW:%Y-%m-%d %H:%M:%S} ({WORDS}): retrying at {later(BACKOFF_SECONDS):%H:%M:%S}"
    assert backoff.refused_data() == {"faces:1": since}


def test_a_data_set_is_open_again_once_a_run_has_started_on_it() -> None:
    mine, same = without_data(), a_training(dataset=FACES)
    for ref, open_again in ((DIGITS, False), (FACES, True)):
        active = a_training(status=TrainingStatus.RUNNING, attempt=1, dataset=ref)
        times = {"queued_at": later(-1), "started_at": later(1)}
        attempt = an_attempt(active, 1, "a").model_copy(update=times)
        active = active.model_copy(update={"attempts": [attempt]})
        assert launched(2, mine, same, active=(active,)) == ([(same.id, "a")] if open_again else [])
