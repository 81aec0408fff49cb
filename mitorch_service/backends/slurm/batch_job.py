"""Builds the batch job of a run: the options of sbatch, and the script that it reads."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass

from mitorch_service.backends.base import RunRequest
from mitorch_service.backends.slurm.run_folder import RunFolder
from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster

_WARNING_SECONDS = 120  # before the time limit, for a checkpoint
_MODULE = "mitorch_service.backends.slurm.supervisor"


@dataclass(frozen=True)
class SlurmRequest(RunRequest):
    """A request that may say how much memory it needs."""

    memory: float | None = None  # GiB of each node; None: Slurm's default


def sbatch_options(
    cluster: SlurmCluster, request: RunRequest, folder: RunFolder, comment: str, node_gpus: int
) -> list[str]:
    """Returns the options by which a job is asked for. `node_gpus`: of the partition's nodes, asked for whole if
    neither the request nor the settings say how many."""
    gpus = gpus_of(cluster, request, node_gpus)
    memory = request.memory if isinstance(request, SlurmRequest) else None
    tasks = tasks_a_node(request, gpus)
    wanted = {
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "time": cluster.time,
        "gres": _gres(cluster, request, gpus),
        "cpus-per-task": None if cluster.cpus is None else max(1, cluster.cpus // tasks),
        "mem": None if memory is None else f"{max(1, round(memory * 1024))}M",
    }
    path = str(folder.path).replace("%", "%%")
    return [
        "--parsable",
        f"--job-name={request.name}",
        f"--comment={comment}",
        "--dependency=singleton",  # of two jobs of this name one waits for the end of the other
        "--no-requeue",  # the next attempt may go elsewhere at once; see docs/slurm.md
        "--open-mode=append",
        f"--output={path}/log.txt",
        f"--chdir={folder.path}",
        f"--signal=B:USR1@{_warning(cluster)}",
        f"--nodes={request.nodes}",
        f"--ntasks-per-node={tasks}",
        *(f"--{name}={value}" for name, value in wanted.items() if value is not None),
        *cluster.options,
    ]


def batch_script(cluster: SlurmCluster, request: RunRequest, folder: RunFolder, node_gpus: int, grace: float) -> str:
    """Returns the script. It holds no secret: every administrator can read it. Each line of `setup` must succeed."""
    gpus = gpus_of(cluster, request, node_gpus)
    per_node = tasks_a_node(request, gpus)
    tasks = request.nodes * per_node
    program = [python_of(cluster), "-m", _MODULE, str(folder.path), f"{grace:g}", f"{cluster.max_silence:g}"]
    line = shlex.join([*_srun(cluster, request, folder, per_node), *program, str(tasks), *request.command])
    lines = [
        "#!/bin/bash -l" if cluster.setup else "#!/bin/bash",  # the profile defines `module`
        f"# {request.name} of MiTorch",
        *(["set -e", *cluster.setup, "set +e"] if cluster.setup else []),
        f"exec {line}",
    ]
    return "\n".join(lines) + "\n"


def python_of(cluster: SlurmCluster) -> str:
    """Returns the interpreter on the nodes."""
    return cluster.python or ("python3" if cluster.container_image else sys.executable)


def gpus_of(cluster: SlurmCluster, request: RunRequest, node_gpus: int) -> int:
    """Returns the GPUs of each node that the job asks for."""
    asked = request.gpus if request.gpus is not None else cluster.asked_gpus()
    return node_gpus if asked is None else asked


def tasks_a_node(request: RunRequest, gpus: int) -> int:
    """Returns the processes of each node: on several nodes one for each GPU; on one node the run starts them itself."""
    return max(1, gpus) if request.nodes > 1 else 1


def _gres(cluster: SlurmCluster, request: RunRequest, gpus: int) -> str | None:
    if cluster.gres is not None and request.gpus in (None, cluster.asked_gpus()):
        return cluster.gres
    return f"gpu:{gpus}" if gpus else None


def _warning(cluster: SlurmCluster) -> int:
    """The seconds before the time limit at which the run is told; less for a limit of some minutes."""
    limit = cluster.limit_seconds()
    return _WARNING_SECONDS if limit is None else max(10, min(_WARNING_SECONDS, limit // 4))


def _srun(cluster: SlurmCluster, request: RunRequest, folder: RunFolder, per_node: int) -> list[str]:
    """The command that starts the tasks, for several nodes or in a container; none for one process of the batch job."""
    if request.nodes == 1 and cluster.container_image is None:
        return []
    options = ["srun", f"--nodes={request.nodes}", f"--ntasks-per-node={per_node}", "--mpi=none", "--export=ALL"]
    options += ["--kill-on-bad-exit=1", "--wait=0"]
    if cluster.cpus is not None:  # which srun no longer takes from the job
        options.append(f"--cpus-per-task={max(1, cluster.cpus // per_node)}")
    if cluster.container_image is not None:
        home = folder.path.parent.parent
        mounts = ",".join([f"{home}:{home}", *cluster.container_mounts])
        options += [f"--container-image={cluster.container_image}", f"--container-mounts={mounts}"]
    return options
