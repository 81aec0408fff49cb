"""Replays one workload under several policies, and measures each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mitorch_service.controller.replay.measures import Measures, measure
from mitorch_service.controller.replay.simulation import replay
from mitorch_service.controller.replay.work import Course, Nodes, Work
from mitorch_service.placement_settings.policy import FairShare, Policy


@dataclass(frozen=True)
class Replayed:
    """One policy's course of events."""

    policy: Policy
    course: Course
    measures: Measures


@dataclass(frozen=True)
class Comparison:
    """A workload under the current policy, and under others."""

    by: str  # whether shares are those of users or of teams
    clusters: Sequence[Nodes]
    replayed: Sequence[Replayed]  # the current policy first


def compare(work: Sequence[Work], clusters: Sequence[Nodes], policies: Sequence[Policy], every: float) -> Comparison:
    """Replays the workload under each policy. `every`: seconds between passes."""
    settings = next((policy.fair_share for policy in reversed(policies) if policy.fair_share is not None), None)
    settings = settings or FairShare(by="user" if any(one.user for one in work) else "team")
    replayed = []
    for policy in policies:
        course = replay(work, clusters, policy, every)
        replayed.append(Replayed(policy, course, measure(course, clusters, settings.by, settings.weight)))
    return Comparison(settings.by, clusters, replayed)
