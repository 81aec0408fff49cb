"""The contract of a backend on a real Slurm of two nodes, and what only Slurm does."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mitorch_service.backends.base import Capacity, RunRequest, RunStatus
from mitorch_service.backends.slurm.checks import SlurmHealthCheck
from mitorch_service.errors import BackendUnavailable, RunRefused
from mitorch_service.models.attempts.run_state import RunState
from tests.contracts.backends.backend_suite import ENDED, SLEEP, ExecutionContract, SlotContract, WithSlots
from tests.contracts.backends.local_cluster import eventually, shell, state, wait_for
from tests.contracts.backends.process_backend_suite import ProcessBackendContract
from tests.contracts.backends.slurm_home import SlurmHome, home_on, slurm


@pytest.fixture
def cluster(slurm_conf: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmHome]:
    with home_on(slurm_conf, tmp_path, monkeypatch) as home:
        yield home


class TestSlurmBackend(ExecutionContract, SlotContract):
    """Runs as jobs."""

    @pytest.fixture
    def run(self) -> str:
        return "run"

    @pytest.fixture
    def backend_with(self, cluster: SlurmHome) -> WithSlots:
        return cluster.backend


@pytest.mark.long
class TestEveryProcess(ProcessBackendContract):
    """All that is promised of processes, which takes a second for each job."""

    @pytest.fixture
    def run(self) -> str:
        return "run"

    @pytest.fixture
    def backend_with(self, cluster: SlurmHome) -> WithSlots:
        return cluster.backend


def starts_of(folder: Path) -> tuple[str, ...]:
    """A command that notes each of its starts, and goes on until it is killed."""
    return shell(f"echo started >> {folder}/starts; exec sleep 60")


def test_an_answer_that_was_lost_is_found_by_the_name_of_the_job(
    cluster: SlurmHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sbatch accepts, and answers too late."""
    slow = tmp_path / "bin" / "sbatch"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\n{shutil.which("sbatch")} "$@" > /dev/null\nexec sleep 20\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    backend = cluster.backend(command_seconds=0.5)
    request = RunRequest("lost-answer", starts_of(tmp_path))
    assert backend.submit(request) == str(cluster.folder("lost-answer"))
    assert cluster.backend(command_seconds=0.5).submit(request) == str(cluster.folder("lost-answer"))
    wait_for(backend, "lost-answer", [RunState.RUNNING])
    assert len(cluster.jobs()) == 1


def test_a_second_job_of_a_name_never_runs_it(cluster: SlurmHome, tmp_path: Path) -> None:
    """As after a pass whose submission was accepted behind its back, and a controller that did not list it."""
    backend = cluster.backend()
    request = RunRequest("twice", starts_of(tmp_path))
    backend.submit(request)
    for _ in range(2):
        cluster.submit_unseen(request)
    wait_for(backend, "twice", [RunState.RUNNING])
    eventually((tmp_path / "starts").exists)
    assert backend.describe(["twice"])["twice"] == RunStatus(RunState.RUNNING)
    assert cluster.jobs("%T") == ["RUNNING", "CANCELLED", "CANCELLED"]
    backend.cancel("twice")
    assert wait_for(backend, "twice", ENDED) == RunState.KILLED
    assert (tmp_path / "starts").read_text() == "started\n"


def test_a_preempted_run_was_taken_away(cluster: SlurmHome) -> None:
    low, high = cluster.backend(), cluster.backend(slots=4, partition="high", cpus=4)
    low.submit(RunRequest("low", SLEEP, nodes=2))
    wait_for(low, "low", [RunState.RUNNING])
    high.submit(RunRequest("high", SLEEP, nodes=2))
    assert wait_for(low, "low", ENDED) == RunState.KILLED
    status = low.describe(["low"])["low"]
    assert status is not None
    assert status.preempted
    assert wait_for(high, "high", [RunState.RUNNING]) == RunState.RUNNING


def test_what_administrators_do_to_a_job_is_said(cluster: SlurmHome) -> None:
    """A hold while it waits, then scancel."""
    backend = cluster.backend(options=["--hold"])
    backend.submit(RunRequest("held", SLEEP))
    status = backend.describe(["held"])["held"]
    assert status is not None
    assert (status.state, status.word) == (RunState.PENDING, "PENDING (JobHeldUser)")
    assert status.since is not None
    slurm("scancel", *(line.partition("|")[0] for line in cluster.jobs()))
    status = backend.describe(["held"])["held"]
    assert status == RunStatus(RunState.KILLED, "it was canceled with scancel")
    assert status is not None
    assert status.canceled
    assert backend.describe(["held"]) == {"held": status}
    assert backend.capacity().free == 2


def test_several_nodes_are_one_distributed_run(cluster: SlurmHome, tmp_path: Path) -> None:
    names = "RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE MASTER_PORT"
    script = f"echo $(printenv {names}) > {tmp_path}/rank-$RANK; echo $SLURMD_NODENAME; getent hosts $MASTER_ADDR"
    backend = cluster.backend(slots=4)
    backend.submit(RunRequest("wide", shell(script), nodes=2, gpus=2))
    assert wait_for(backend, "wide", ENDED) == RunState.SUCCEEDED
    eventually(lambda: len(list(tmp_path.glob("rank-?"))) == 4)
    told = sorted((tmp_path / f"rank-{rank}").read_text().split() for rank in range(4))
    port = told[0][-1]
    assert told == [[str(rank), "4", str(rank % 2), "2", port] for rank in range(4)]
    assert backend.logs("wide").startswith("n1\n")


def test_a_run_on_several_nodes_ends_as_its_first_failure(cluster: SlurmHome) -> None:
    """As with torchrun: the end of the first process is not that of the run."""
    backend = cluster.backend(slots=6)
    scripts = {
        "later": "[ $RANK = 0 ] && exit 0; sleep 1; echo broken; exit 3",
        "first": "[ $RANK = 0 ] && exec sleep 60; echo broken; exit 3",
        "without-a-word": "[ $RANK = 0 ] && exit 0; sleep 0.5; kill -9 $PPID",  # its supervisor, as on a lost node
    }
    for name, script in scripts.items():
        backend.submit(RunRequest(name, shell(script), nodes=2))
    eventually(lambda: all(state(backend, name) in ENDED for name in scripts), 60)
    ends = backend.describe(list(scripts))
    reason = "its process of rank 1 ended with exit code 3: broken"
    assert ends["later"] == ends["first"] == RunStatus(RunState.FAILED, reason, 3)
    assert "The end of log-1.txt, of the process that failed:\nbroken\n" in backend.logs("first")
    lost = ends["without-a-word"]
    assert lost is not None
    assert (lost.state, lost.preempted) == (RunState.KILLED, True)


def test_a_refusal_is_said_and_leaves_nothing(cluster: SlurmHome) -> None:
    with pytest.raises(RunRefused, match=r"sbatch refuses the job: .*invalid partition") as caught:
        cluster.backend(partition="none").submit(RunRequest("run", SLEEP))
    assert not caught.value.of_request
    with pytest.raises(RunRefused, match="node configuration") as caught:
        cluster.backend(options=["--mem=1T"]).submit(RunRequest("run", SLEEP))
    assert caught.value.of_request
    assert cluster.backend().describe(["run"]) == {"run": None}


def test_the_nodes_that_are_up_are_the_capacity(cluster: SlurmHome) -> None:
    assert cluster.backend(slots=None, gpus=1).capacity() == Capacity(4, 4)
    assert cluster.backend(slots=None, gpus=None).capacity() == Capacity(2, 2)  # whole nodes
    assert cluster.backend(slots=None, gpus=1).capacity().gpus == 2
    assert cluster.backend(slots=None, cpus=2).capacity() == Capacity(4, 4)
    assert cluster.backend(slots=None, gpus=1, cpus=4).capacity() == Capacity(2, 2)
    backend = cluster.backend(slots=None, gpus=1)
    backend.submit(RunRequest("run", SLEEP))
    assert backend.capacity() == Capacity(4, 3)


def test_settings_reach_the_run_and_nothing_else(cluster: SlurmHome, tmp_path: Path) -> None:
    script = (
        f"{sys.executable} -c \"import os; print(os.pread(int(os.environ['MITORCH_SETTINGS_FD']), 999, 0).decode())\""
    )
    backend = cluster.backend(environment={"MITORCH_DB_URI": "mongodb://me:hunter2@db/"}, setup=["export SETUP=done"])
    folder = cluster.folder("secret")
    backend.submit(RunRequest("secret", shell(f"{script}; echo $SETUP; env")))
    assert stat.S_IMODE((folder / "settings.json").stat().st_mode) == 0o600
    job = cluster.jobs()[0].partition("|")[0]
    seen = slurm("scontrol", "show", "job", job) + slurm("scontrol", "write", "batch_script", job, "-")
    eventually((folder / "exit.json").exists)
    eventually(lambda: not (folder / "settings.json").exists())  # though nobody has looked how the run ended
    first, _, rest = backend.logs("secret").partition("\n")
    assert json.loads(first) == {"MITORCH_DB_URI": "mongodb://me:hunter2@db/", "MITORCH_HOME": str(cluster.home)}
    assert rest.startswith("done\n")
    assert "hunter2" not in rest + seen
    backend.submit(RunRequest("canceled", SLEEP))
    backend.cancel("canceled")
    assert not (cluster.folder("canceled") / "settings.json").exists()


def test_a_slurm_that_does_not_answer_is_asked_again(
    cluster: SlurmHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = tmp_path / "slurm.conf"
    nowhere.write_text(re.sub("SlurmctldPort=.*", "SlurmctldPort=1", Path(os.environ["SLURM_CONF"]).read_text()))
    with monkeypatch.context() as patch:
        patch.setenv("SLURM_CONF", str(nowhere))
        deaf = cluster.backend(command_seconds=0.3)
        for call in (lambda: deaf.describe(["run"]), deaf.capacity, lambda: deaf.submit(RunRequest("other", SLEEP))):
            with pytest.raises(BackendUnavailable):
                call()


def test_doctor_asks_slurm(cluster: SlurmHome) -> None:
    good = dict(SlurmHealthCheck(cluster.config(partition="low", gpus=1), cluster.home).findings())
    assert list(good) == ["Slurm", "folder", "partition", "job", "accounting"]
    assert str(good["Slurm"]).startswith("slurm")
    assert good["partition"] == "low, 2 nodes up with 2 GPUs each"
    assert good["job"] == "Slurm would take one with these fields"
    bad = dict(SlurmHealthCheck(cluster.config(partition="gpu"), cluster.home).findings())
    assert "there are: high, low" in str(bad["partition"])
    assert "job" not in bad
    wrong = dict(SlurmHealthCheck(cluster.config(options=["--mem=1T"]), Path("/proc/none")).findings())
    assert isinstance(wrong["job"], RunRefused)
    assert "cannot be written" in str(wrong["folder"])


def test_a_login_node_is_asked_through_ssh(cluster: SlurmHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for OpenSSH, which hands the words to a shell as the other host would."""
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(f'#!/bin/sh\necho "$5" >> {tmp_path}/hosts\nexec sh -c "$7"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    backend = cluster.backend(ssh="me@login", options=["--hold"])
    backend.submit(RunRequest("run", SLEEP))
    status = backend.describe(["run"])["run"]
    assert status is not None
    assert (status.word, status.since) == ("PENDING (JobHeldUser)", None)  # whose clock has another zone perhaps
    backend.cancel("run")
    assert wait_for(backend, "run", ENDED) == RunState.KILLED
    assert backend.capacity() == Capacity(2, 2)
    assert set((tmp_path / "hosts").read_text().split()) == {"me@login"}
