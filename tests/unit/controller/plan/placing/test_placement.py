"""Placement: the cluster of each training, those that wait, and reserved nodes."""

from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.backends.base import Capacity
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster, CreateProfile
from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.controller.plan.cluster_backoff import ClusterBackoff
from mitorch_service.controller.plan.placing.placement import Cluster, Placer, hosts_of, ineligibility, unplaceable
from mitorch_service.models.dataset import DatasetRef, DatasetSplit
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import Resources, Training
from tests.samples import NOW, a_dataset, a_training, an_attempt

Nodes = dict[str, tuple[int, int]]  # cluster -> nodes in all, nodes free


def placer(nodes: Nodes, *clusters: Cluster, hosts: dict[str, frozenset[str]] | None = None) -> Placer:
    """Clusters with so many nodes, those named with what the settings say."""
    capacities = {name: Capacity(total, free) for name, (total, free) in nodes.items()}
    facts = {cluster.name: cluster for cluster in clusters}
    return Placer(
        facts, capacities, {name: free for name, (_, free) in nodes.items()}, hosts or {}, ClusterBackoff(NOW)
    )


def test_a_training_waits_while_the_token_of_its_data_set_has_expired() -> None:
    capacities, backoff = {"a": Capacity(2, 2)}, ClusterBackoff(NOW)
    placing = Placer({}, capacities, {"a": 2}, {}, backoff, {"digits:1": "the token expired"})
    mine, other = a_training(), a_training(dataset=DatasetRef(name="faces", version=1))
    kept = an_attempt(mine).model_copy(update={"outcome": AttemptOutcome.BLOCKED, "kept": True})
    trained = mine.model_copy(update={"attempt": 1, "attempts": [kept]})
    assert [placing.place(row) for row in (mine, other, trained)] == [None, "a", "a"]  # which needs no data any more
    assert placing.explain(mine) == {"a": "its data set: the token expired"}


def needing(**resources: Any) -> Training:
    """A training that needs so much."""
    return a_training(resources=Resources(**resources))


def test_the_cheapest_is_filled_first_then_the_emptiest_then_the_preferred() -> None:
    clusters = Cluster("dear", price=2), Cluster("cheap", price=1), Cluster("same", price=1), Cluster("other", price=1)
    placing = placer({"dear": (9, 9), "cheap": (1, 1), "same": (3, 2), "other": (2, 2)}, *clusters)
    placed = [placing.place(a_training()) for _ in range(6)]
    assert placed == ["same", "other", "cheap", "same", "other", "dear"]
    assert placing.price("dear") == 2
    assert placing.price("cheap") == 1


def test_where_the_data_lies_near_goes_before_the_price() -> None:
    clusters = Cluster("far"), Cluster("near", price=9, data=("photoacct",))
    hosts = {"digits:1": frozenset({"photoacct.blob.core.windows.net"})}
    nodes = {"far": (2, 2), "near": (1, 1)}
    placing = placer(nodes, *clusters, hosts=hosts)
    assert [placing.place(a_training()) for _ in range(2)] == ["near", "far"]
    assert placer(nodes, *clusters).place(a_training()) == "far"  # its data lies on no host


@pytest.mark.parametrize("pattern", ["digits", "digi*", "digits:1", "*.core.windows.net", "acct", "ac?t"])
def test_what_lies_near_is_named_by_data_set_account_or_host(pattern: str) -> None:
    hosts = {"digits:1": frozenset({"acct.blob.core.windows.net"})}
    clusters = Cluster("far"), Cluster("near", price=9, data=("nothing", pattern))
    assert placer({"far": (2, 2), "near": (1, 1)}, *clusters, hosts=hosts).place(a_training()) == "near"


def test_the_hosts_of_a_data_set_are_those_of_its_urls() -> None:
    url = "https://acct.blob.core.windows.net/c/train.txt?sig=x"
    split = DatasetSplit(path=url, support_files=["/data/images.zip", "https://other.example/images.zip"])
    dataset = a_dataset().model_copy(update={"train": split})
    assert hosts_of(dataset) == {"acct.blob.core.windows.net", "other.example"}
    assert hosts_of(a_dataset()) == frozenset()


@pytest.mark.parametrize(
    ("needed", "cluster", "reason"),
    [
        ({}, Cluster("c", gpus=0, memory=1, most_nodes=1), None),
        ({"gpus": 1}, Cluster("c", gpus=0), "has 0 GPUs a node, 1 needed"),
        ({"gpus": 2}, Cluster("c", gpus=2), None),
        ({"gpus": 2}, Cluster("c"), None),  # nobody has said how many it has
        ({"memory": 64}, Cluster("c", memory=16), "has 16 GiB a node, 64 needed"),
        ({"memory": 64}, Cluster("c", memory=64), None),
        ({"nodes": 2}, Cluster("c", most_nodes=1), "gives a training at most 1 node, 2 needed"),
        ({"nodes": 2}, Cluster("c"), None),
        ({"cluster": "c"}, Cluster("c"), None),
        ({"cluster": ["a", "b"]}, Cluster("c"), "not among its resources.cluster (a, b)"),
    ],
)
def test_what_keeps_a_training_from_a_cluster_for_ever(
    needed: dict[str, Any], cluster: Cluster, reason: str | None
) -> None:
    resources = Resources.model_validate(needed)
    assert ineligibility(resources, cluster) == reason
    assert unplaceable(resources, [cluster]) == (None if reason is None else f"cluster c: {reason}")
    assert placer({"c": (4, 4)}, cluster).place(a_training(resources=resources)) == (None if reason else "c")


def test_what_the_cluster_says_of_itself_counts_where_the_settings_are_silent() -> None:
    capacities = {"cpu": Capacity(4, 4, gpus=0), "gpu": Capacity(4, 4, gpus=2), "set": Capacity(4, 4, gpus=0)}
    placing = Placer({"set": Cluster("set", gpus=8)}, capacities, dict.fromkeys(capacities, 4), {}, ClusterBackoff(NOW))
    assert placing.place(needing(gpus=2)) == "gpu"
    assert placing.place(needing(gpus=8)) == "set"


def test_one_that_fits_nowhere_lets_those_behind_it_pass() -> None:
    placing = placer({"cpu": (2, 2)}, Cluster("cpu", gpus=0))
    assert [placing.place(row) for row in (needing(gpus=1), a_training(), a_training())] == [None, "cpu", "cpu"]
    assert placing.full


def test_several_nodes_are_given_at_once() -> None:
    placing = placer({"a": (4, 3), "b": (4, 4)})
    assert [placing.place(needing(nodes=3)) for _ in range(3)] == ["b", "a", None]


def test_free_nodes_are_kept_where_fewest_are_missing() -> None:
    placing = placer({"a": (8, 2), "b": (8, 3), "c": (3, 3)})
    big = needing(nodes=4)
    assert placing.place(big) is None
    assert [placing.place(a_training()) for _ in range(6)] == ["c", "a", "c", "a", "c", None]
    assert placing.explain(a_training())["b"].startswith(f"its free nodes are reserved for training {big.id[:8]}")


def test_a_big_training_is_not_starved_by_small_ones() -> None:
    """Each pass one run ends, and there are always more small ones behind the big one."""
    free = 1
    for _ in range(3):
        placing = placer({"a": (4, free)})
        assert placing.place(needing(nodes=4)) is None
        assert placing.place(a_training()) is None
        free += 1
    assert placer({"a": (4, free)}).place(needing(nodes=4)) == "a"


def test_one_that_no_cluster_has_nodes_enough_for_keeps_none() -> None:
    placing = placer({"a": (2, 1), "b": (2, 1)}, Cluster("b", most_nodes=1))
    assert placing.place(needing(nodes=3)) is None
    assert placing.place(needing(nodes=2, cluster="b")) is None
    assert {placing.place(a_training()), placing.place(a_training())} == {"a", "b"}


def test_each_cluster_says_what_keeps_a_training_waiting() -> None:
    clusters = [Cluster("cpu", gpus=0), Cluster("gpu", gpus=4), Cluster("small", gpus=4), Cluster("down", gpus=4)]
    placing = placer({"cpu": (9, 9), "gpu": (4, 0), "small": (1, 1)}, *clusters)
    assert placing.explain(needing(gpus=1, nodes=2)) == {
        "cpu": "has 0 GPUs a node, 1 needed",
        "gpu": "0 of 4 nodes free, 2 needed",
        "small": "has 1 node in all, 2 needed",
        "down": "does not answer",
    }
    assert placing.explain(needing(gpus=1)) == {}
    assert placing.place(needing(gpus=1)) == "small"


def test_the_settings_become_what_placement_knows() -> None:
    azure = {"name": "a", "kind": "azureml", "subscription_id": "s", "resource_group": "g", "workspace": "w"}
    cloud = AzureMLCluster(**azure, price=3, gpus=2, memory=16, data=["d"])
    assert Cluster.of(LocalCluster(name="l", slots=4)) == Cluster("l", most_nodes=1, max_silence=900)
    assert Cluster.of(cloud) == Cluster("a", 3, 2, 16, None, ("d",), 3600)
    profile = CreateProfile(vm_size="v", max_nodes=8)
    assert Cluster.of(cloud.model_copy(update={"create": profile})).most_nodes == 8
