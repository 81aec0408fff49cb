"""Finds nodes that are busy without a training of ours: what is paid for and does nothing. Pure."""

from __future__ import annotations

from mitorch_service.controller.plan.snapshot import Snapshot


def unexplained_nodes(snapshot: Snapshot) -> dict[str, int]:
    """Returns, for each cluster that answered, how many of its nodes are busy or unusable beyond those of active
    trainings: a run that goes on after its attempt was given up, a node that cannot be used, or other people's runs."""
    ours = dict.fromkeys(snapshot.clusters, 0)
    for training in snapshot.active:
        attempt = training.current_attempt()
        if attempt is not None and attempt.cluster in ours:
            ours[attempt.cluster] += attempt.nodes
    return {name: max(0, one.total - one.free - ours[name]) for name, one in snapshot.clusters.items()}
