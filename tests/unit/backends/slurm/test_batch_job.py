"""The options of sbatch, and the script."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.backends.base import RunRequest
from mitorch_service.backends.slurm.batch_job import SlurmRequest, batch_script, sbatch_options
from mitorch_service.backends.slurm.run_folder import RunFolder
from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster

FOLDER = RunFolder(Path("/shared/runs/run"))
PLAIN = RunRequest("run", ("python", "-c", "print('a b')"))


def options(request: RunRequest = PLAIN, node_gpus: int = 0, **fields: Any) -> list[str]:
    cluster = SlurmCluster(kind="slurm", name="lab", **fields)
    return sbatch_options(cluster, request, FOLDER, "mitorch:lab", node_gpus)


def script(request: RunRequest = PLAIN, node_gpus: int = 0, **fields: Any) -> list[str]:
    cluster = SlurmCluster(kind="slurm", name="lab", **fields)
    return batch_script(cluster, request, FOLDER, node_gpus, 30.0).splitlines()


def test_a_job_asks_for_a_node_under_the_name_of_its_run() -> None:
    assert options() == [
        "--parsable",
        "--job-name=run",
        "--comment=mitorch:lab",
        "--dependency=singleton",
        "--no-requeue",
        "--open-mode=append",
        "--output=/shared/runs/run/log.txt",
        "--chdir=/shared/runs/run",
        "--signal=B:USR1@120",
        "--nodes=1",
        "--ntasks-per-node=1",
    ]


def test_the_fields_of_the_cluster_are_options() -> None:
    given = options(partition="gpu", account="a", qos="q", time="1-0", cpus=8, options=("--constraint=x",))
    wanted = ["--partition=gpu", "--account=a", "--qos=q", "--time=1-0", "--cpus-per-task=8", "--constraint=x"]
    assert given[-6:] == wanted
    assert options(SlurmRequest("run", (), memory=1.5))[-1] == "--mem=1536M"


@pytest.mark.parametrize(
    ("asked", "fields", "node_gpus", "gres"),
    [
        (None, {}, 4, "--gres=gpu:4"),  # all that a node has
        (None, {"gpus": 1}, 4, "--gres=gpu:1"),
        (2, {"gpus": 1}, 4, "--gres=gpu:2"),
        (None, {"gres": "gpu:a100:2"}, 4, "--gres=gpu:a100:2"),
        (2, {"gres": "gpu:a100:2"}, 4, "--gres=gpu:a100:2"),
        (1, {"gres": "gpu:a100:2"}, 4, "--gres=gpu:1"),
        (0, {}, 4, None),
        (None, {"gpus": 0}, 4, None),
    ],
)
def test_a_job_asks_for_gpus(asked: int | None, fields: dict[str, Any], node_gpus: int, gres: str | None) -> None:
    given = options(RunRequest("run", (), gpus=asked), node_gpus, **fields)
    assert [one for one in given if one.startswith("--gres")] == ([] if gres is None else [gres])


@pytest.mark.parametrize(("time", "warning"), [("8:00:00", 120), ("4", 60), ("1", 15), ("0:20", 10)])
def test_a_short_limit_warns_later(time: str, warning: int) -> None:
    assert f"--signal=B:USR1@{warning}" in options(time=time)


def test_one_process_is_the_batch_job_itself() -> None:
    module = "mitorch_service.backends.slurm.supervisor"
    assert script() == [
        "#!/bin/bash",
        "# run of MiTorch",
        f"exec {sys.executable} -m {module} /shared/runs/run 30 3600 1 python -c 'print('\"'\"'a b'\"'\"')'",
    ]
    lines = script(setup=("module load cuda",), python="/env/bin/python")
    assert lines[:5] == ["#!/bin/bash -l", "# run of MiTorch", "set -e", "module load cuda", "set +e"]
    assert lines[5].startswith("exec /env/bin/python -m ")


def test_several_nodes_have_a_task_for_each_gpu() -> None:
    wide = RunRequest("run", ("train",), nodes=2, gpus=4)
    assert "--ntasks-per-node=4" in options(wide, cpus=16)
    assert "--cpus-per-task=4" in options(wide, cpus=16)
    line = script(wide, cpus=16)[-1]
    assert line.startswith("exec srun --nodes=2 --ntasks-per-node=4 --mpi=none --export=ALL --kill-on-bad-exit=1")
    assert " --cpus-per-task=4 " in line
    assert line.endswith(" 3600 8 train")


def test_a_container_sees_the_shared_folder() -> None:
    line = script(container_image="nvcr.io#nvidia/pytorch:26.01-py3", container_mounts=("/data:/data",))[-1]
    assert "--container-image=nvcr.io#nvidia/pytorch:26.01-py3" in line
    assert "--container-mounts=/shared:/shared,/data:/data python3 -m" in line


def test_a_percent_sign_in_the_path_is_no_pattern_of_slurm() -> None:
    folder = RunFolder(Path("/a%j/runs/run"))
    given = sbatch_options(SlurmCluster(kind="slurm", name="lab"), PLAIN, folder, "mitorch:lab", 0)
    assert "--output=/a%%j/runs/run/log.txt" in given
    assert "--chdir=/a%j/runs/run" in given
