"""The fields of a Slurm cluster, and what is wrong with some."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster, gpus_in
from mitorch_service.controller.plan.placing.placement import Cluster
from mitorch_service.errors import SettingsError
from mitorch_service.settings import read_settings


def read(**fields: Any) -> SlurmCluster:
    entry = {"name": "lab", "kind": "slurm", **fields}
    (cluster,) = read_settings({"MITORCH_CLUSTERS": json.dumps([entry])}).clusters
    assert isinstance(cluster, SlurmCluster)
    return cluster


def test_a_slurm_cluster_needs_no_field_but_its_name() -> None:
    cluster = read()
    assert (cluster.partition, cluster.max_jobs, cluster.time, cluster.ssh) == (None, None, None, None)
    assert (cluster.asked_gpus(), cluster.limit_seconds(), cluster.max_silence) == (None, None, 3600)


def test_a_slurm_cluster_with_everything() -> None:
    given = {
        "partition": "gpu,long",
        "account": "vision",
        "qos": "high",
        "gres": "gpu:a100:2",
        "cpus": 8,
        "time": "1-12:00:00",
        "nodes": 4,
        "max_jobs": 16,
        "setup": ["module load cuda/12.4", "source /opt/env"],
        "python": "/shared/env/bin/python",
        "container_image": "nvcr.io#nvidia/pytorch:26.01-py3",
        "container_mounts": ["/data:/data"],
        "ssh": "me@login.lab",
        "folder": "/shared/mitorch",
        "options": ["--constraint=a100"],
        "price": 1.5,
    }
    cluster = read(**given)
    assert {name: getattr(cluster, name) for name in given} == {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
    }
    assert cluster.asked_gpus() == 2
    facts = Cluster.of(cluster)
    assert (facts.most_nodes, facts.price, facts.gpus) == (4, 1.5, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("partition", "-p"),
        ("partition", "a b"),
        ("time", "tomorrow"),
        ("time", 3600),
        ("max_jobs", -1),
        ("nodes", 0),
        ("cpus", 1.5),
        ("setup", ["a\nb"]),
        ("ssh", "-oProxyCommand=x"),
        ("folder", "shared"),
        ("options", ["gpu"]),
        ("max_silence", 5),
        ("queue", "gpu"),
    ],
)
def test_a_field_that_is_wrong_is_named_with_its_remedy(field: str, value: object) -> None:
    with pytest.raises(SettingsError) as caught:
        read(**{field: value})
    assert f"[0].{field}" in str(caught.value)
    assert '"kind": "slurm"' in str(caught.value)


def test_gres_and_gpus_are_not_given_both() -> None:
    with pytest.raises(SettingsError, match="give one of them"):
        read(gres="gpu:2", gpus=2)


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("90", 5400),
        ("90:30", 5430),
        ("1:30:05", 5405),
        ("2-3", 183600),
        ("2-03:04", 183840),
        ("1-00:00:00", 86400),
    ],
)
def test_a_time_limit_is_read_as_slurm_reads_it(time: str, seconds: int) -> None:
    assert read(time=time).limit_seconds() == seconds


@pytest.mark.parametrize(
    ("gres", "count"),
    [
        ("(null)", 0),
        ("", 0),
        ("gpu:2", 2),
        ("gpu", 1),
        ("gpu:a100", 1),
        ("gpu:a100:4(S:0-1),shard:8", 4),
        ("gpu:v100:2,gpu:t4:1", 3),
    ],
)
def test_the_gpus_in_generic_resources(gres: str, count: int) -> None:
    assert gpus_in(gres) == count
