"""The promises of placement, on workloads drawn at random: they are replayed with the plan of real passes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from mitorch_service.controller.replay.simulation import replay
from mitorch_service.controller.replay.work import Nodes, Placed, Work
from mitorch_service.placement_settings.policy import FIRST_COME, FairShare, Policy

EVERY = 10.0
HOUR = 3600.0
POLICIES = [
    FIRST_COME,
    Policy(backfill=True),
    Policy(fair_share=FairShare(by="user", weights={"b": 3.0})),
    Policy(fair_share=FairShare(by="team", half_life="1h", max_wait="1h"), backfill=True),
]
CLUSTERS = [Nodes("lab", 3), Nodes("cloud", 5, price=1.0, gpus=2, data=("d1",))]
work = st.builds(
    Work,
    submitted=st.integers(0, 300).map(float),
    seconds=st.integers(1, 200).map(float),
    nodes=st.sampled_from([1, 1, 1, 2, 3, 5]),
    user=st.sampled_from("abc"),
    team=st.sampled_from(["", "x"]),
    priority=st.sampled_from([100, 100, 5]),
    dataset=st.sampled_from(["d0", "d1"]),
    gpus=st.sampled_from([None, None, 2]),
    clusters=st.sampled_from([None, None, ("lab",), ("cloud", "lab")]),
)
some = settings(max_examples=25)


@some
@given(st.lists(work, max_size=25), st.sampled_from(POLICIES))
def test_everything_that_can_runs_once_whole_and_no_cluster_has_more_than_its_nodes(
    works: list[Work], policy: Policy
) -> None:
    course = replay(works, CLUSTERS, policy, EVERY)
    holdable = [one for one in works if not _fits_nowhere(one)]
    assert sorted(map(repr, (one.work for one in course.placed))) == sorted(map(repr, holdable))
    assert len(course.never) == len(works) - len(holdable)
    for cluster in CLUSTERS:
        here = [one for one in course.placed if one.cluster == cluster.name]
        assert all(_held(here, one.start) <= cluster.nodes for one in here)
        assert all(one.work.gpus is None or cluster.gpus is None or one.work.gpus <= cluster.gpus for one in here)
        assert all(one.work.clusters is None or cluster.name in one.work.clusters for one in here)
    assert all(one.start >= one.work.submitted for one in course.placed)


def _fits_nowhere(one: Work) -> bool:
    return not any(
        one.nodes <= cluster.nodes
        and (one.gpus is None or cluster.gpus is None or one.gpus <= cluster.gpus)
        and (one.clusters is None or cluster.name in one.clusters)
        for cluster in CLUSTERS
    )


def _held(placed: Sequence[Placed], at: float) -> int:
    """Several nodes are held together: a training is there with all of them, or not at all."""
    return sum(one.work.nodes for one in placed if one.start <= at < one.end)


@some
@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(5, 90), st.sampled_from([3, 7])), max_size=20),
    st.sampled_from(POLICIES),
)
def test_of_two_that_are_equal_the_one_of_the_lower_number_starts_no_later(
    drawn: list[tuple[int, int, int]], policy: Policy
) -> None:
    works = [Work(float(at), float(seconds), user="a", team="x", priority=p) for at, seconds, p in drawn]
    placed = replay(works, [Nodes("lab", 2)], policy, EVERY).placed
    for one in placed:
        for other in placed:
            if one.work.priority < other.work.priority and one.work.submitted <= other.work.submitted:
                assert one.start <= other.start


# Kinds of trainings of which each takes as long as all before it, and three that have shown it.
LENGTHS = {"short": 30.0, "middle": 80.0, "long": 200.0}
_WARM = [Work(0.0, seconds, dataset=kind, nodes=nodes) for kind, seconds in LENGTHS.items() for nodes in (1, 2, 3)] * 3


def _known(kind: str, nodes: int, at: float, priority: int) -> Work:
    return Work(at, LENGTHS[kind], nodes, dataset=kind, priority=priority)


kinds = st.sampled_from(list(LENGTHS))


@some
@given(
    st.lists(st.tuples(kinds, st.integers(1, 3), st.integers(0, 15)), min_size=1, max_size=4),
    st.tuples(kinds, st.integers(2, 4)),
    st.lists(st.tuples(kinds, st.integers(1, 3), st.integers(0, 40)), max_size=12),
)
def test_backfilling_never_delays_the_training_for_which_nodes_are_reserved(
    before: list[tuple[str, int, int]], head: tuple[str, int], behind: list[tuple[str, int, int]]
) -> None:
    begin = 5000.0  # everything of the warm-up has ended
    runs = [_known(kind, nodes, begin + 10 * at, 1) for kind, nodes, at in before]
    wide = Work(begin + 160.0, LENGTHS[head[0]], head[1], user="head", dataset=head[0], priority=2)
    rest = [_known(kind, nodes, begin + 160.0 + 10 * at, 3) for kind, nodes, at in behind]
    works = [*_WARM, *runs, wide, *rest]
    clusters = [Nodes("lab", 4), Nodes("cloud", 4, price=1.0)]
    plain, filled = (replay(works, clusters, policy, EVERY).placed for policy in (FIRST_COME, Policy(backfill=True)))
    assert _start_of_head(filled) <= _start_of_head(plain)


def _start_of_head(placed: Sequence[Placed]) -> float:
    return next(one.start for one in placed if one.work.user == "head")


def test_a_short_training_has_reserved_nodes_meanwhile_and_a_long_one_has_not() -> None:
    begin = 5000.0
    runs = [_known("long", 2, begin, 1)]
    wide = Work(begin + 10, 10.0, 4, user="head", priority=2)
    rest = [_known("long", 1, begin + 20, 3), _known("short", 1, begin + 20, 3), _known("middle", 2, begin + 60, 3)]
    placed = replay([*_WARM, *runs, wide, *rest], [Nodes("lab", 4)], Policy(backfill=True), EVERY).placed
    starts = {(one.work.dataset, one.work.user): (one.start - begin, one.backfilled) for one in placed[len(_WARM) :]}
    assert starts["short", ""] == (20, True)
    assert starts["middle", ""] == (60, True)
    assert starts["data", "head"] == (200, False)  # as soon as the long one has ended
    assert starts["long", ""][0] >= 210


@some
@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(10, 400), st.sampled_from("abcd")), min_size=1, max_size=40),
)
def test_no_share_waits_longer_than_max_wait_and_the_runs_before_it(
    nodes: int, drawn: list[tuple[int, int, str]]
) -> None:
    hours = 0.2
    policy = Policy(fair_share=FairShare(by="user", max_wait=f"{hours}h", weights={"a": 1e-3}))
    works = [Work(float(at), float(seconds), user=user) for at, seconds, user in drawn]
    placed = replay(works, [Nodes("lab", nodes)], policy, EVERY).placed
    longest, users = max(one.seconds for one in works), {one.user for one in works}
    bound = hours * HOUR + len(users) * (longest + EVERY) + EVERY
    by_user = defaultdict(list)
    for one in placed:
        by_user[one.work.user].append(one)
    for mine in by_user.values():
        last = 0.0
        for one in mine:  # in the order of their starts
            assert one.start - max(last, one.work.submitted) <= bound
            last = one.start


def test_the_same_workload_gives_the_same_course() -> None:
    works = [Work(float(n), 50.0 + n, user="ab"[n % 2]) for n in range(20)]
    courses = [replay(list(works), CLUSTERS, POLICIES[2], EVERY) for _ in range(2)]
    assert courses[0] == courses[1]
    assert replay(works, CLUSTERS, replace_weights(POLICIES[2]), EVERY) != courses[0]


def replace_weights(policy: Policy) -> Policy:
    assert policy.fair_share is not None
    return policy.model_copy(update={"fair_share": policy.fair_share.model_copy(update={"weights": {"a": 50.0}})})


def test_nothing_to_replay_is_no_course() -> None:
    assert replay([], CLUSTERS, FIRST_COME).placed == []
    never = replace(Work(0.0, 1.0), nodes=99)
    assert replay([never], CLUSTERS, FIRST_COME).never == [never]
