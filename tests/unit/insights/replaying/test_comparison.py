"""The measures of replays, by hand, and their picture."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from mitorch_service.controller.replay.measures import jain, measure
from mitorch_service.controller.replay.work import Course, Nodes, Placed, Work
from mitorch_service.insights.replaying.comparison import compare
from mitorch_service.insights.replaying.gantt import draw_gantt, lanes
from mitorch_service.placement_settings.policy import FIRST_COME, FairShare, Policy

CLUSTERS = [Nodes("lab", 2), Nodes("cloud", 1, price=3.6)]
ANN, BOB = Work(0.0, 100.0, 2, "ann"), Work(0.0, 50.0, 1, "bob")
PLACED = [
    Placed(ANN, "lab", 0.0, 100.0),
    Placed(BOB, "cloud", 50.0, 100.0),
    Placed(Work(0.0, 50.0, 1, "bob"), "lab", 100.0, 150.0, backfilled=True),
]


def test_measures_by_hand() -> None:
    measured = measure(Course(PLACED, [ANN], 7), CLUSTERS, "user", lambda share: 1.0)
    assert (measured.trainings, measured.never, measured.passes, measured.backfilled) == (3, 1, 7, 1)
    assert (measured.wait.mean, measured.wait.median, measured.wait.p95, measured.wait.most) == (
        50.0,
        50.0,
        100.0,
        100.0,
    )
    assert measured.slowdown.mean == pytest.approx((1 + 2 + 3) / 3)
    assert measured.length == 150.0
    assert measured.utilisation == pytest.approx((200 + 50 + 50) / (150 * 3))
    assert measured.node_hours == pytest.approx(300 / 3600)
    assert measured.cost == pytest.approx(50 / 3600 * 3.6)
    ann, bob = measured.shares
    assert (ann.share, ann.rate, bob.share, bob.wait) == ("ann", None, "bob", 75.0)
    assert bob.rate == pytest.approx(0.5)  # one node for 50 of the 100 seconds in which some of bob's waited
    assert measured.fairness is None  # nobody else waited


def test_fairness_is_jains_index_by_the_weights() -> None:
    assert jain([1.0, 1.0, 1.0]) == pytest.approx(1.0)
    assert jain([1.0, 0.0, 0.0, 0.0]) == pytest.approx(0.25)
    works = [Work(0.0, 100.0, user=user) for user in "aaaaaabbbbbb"]
    settings = FairShare(by="user", weights={"a": 3.0})
    first, fair = compare(works, [Nodes("lab", 4)], [FIRST_COME, Policy(fair_share=settings)], 10.0).replayed
    assert first.measures.fairness is not None
    assert fair.measures.fairness is not None
    assert fair.measures.fairness > first.measures.fairness


def test_an_empty_course_has_measures() -> None:
    measured = measure(Course(), CLUSTERS, "team", lambda share: 1.0)
    assert (measured.trainings, measured.utilisation, measured.wait.mean, measured.fairness) == (0, 0.0, 0.0, None)


def test_the_picture_has_a_row_for_each_node_and_a_panel_for_each_policy() -> None:
    ran = lanes(PLACED, CLUSTERS)
    assert [[one.start for one in ran[lane]] for lane in ran] == [[0.0, 100.0], [0.0], [50.0]]
    works = [one.work for one in PLACED]
    compared = compare(works, CLUSTERS, [FIRST_COME, Policy(backfill=True)], 10.0)
    picture = ElementTree.fromstring(draw_gantt(compared))
    texts = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "first come, first served, backfill" in texts
    assert {"ann", "bob", "lab", "cloud"} <= set(texts)
    assert len(list(picture.iter("{http://www.w3.org/2000/svg}g"))) == 2
