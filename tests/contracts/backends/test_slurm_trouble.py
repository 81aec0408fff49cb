"""Troubles of a real Slurm that take minutes: daemons that die, limits of time, a full disk, many runs at once.

`pytest -m long tests/contracts/backends/test_slurm_trouble.py -s` prints what the 200 submissions take.
"""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from mitorch_service.backends.base import Backend, RunRequest, RunStatus
from mitorch_service.errors import BackendUnavailable
from mitorch_service.models.attempts.run_state import RunState
from tests.contracts.backends.backend_suite import ENDED, SLEEP, ExecutionContract, SlotContract, WithSlots
from tests.contracts.backends.local_cluster import eventually, python, shell, state, wait_for
from tests.contracts.backends.slurm_home import SlurmHome, home_on, slurm
from tests.slurm_server import running_slurm
from tests.small_disk import tmpfs

pytestmark = pytest.mark.long


@pytest.fixture(params=["plain", "accounting"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmHome]:
    fixture = "slurm_conf" if request.param == "plain" else "slurm_accounting_conf"
    with home_on(request.getfixturevalue(fixture), tmp_path, monkeypatch) as home:
        yield home


def options_of(conf: str) -> list[str]:
    """The options of `scripts/slurm` for the Slurm that is used."""
    return ["--accounting"] if "/accounting/" in conf else []


def kill_daemon(name: str) -> None:
    """Kills slurmctld or the slurmd of a node, as a machine that fails does."""
    pid_file = Path(os.environ["SLURM_CONF"]).parent / f"{name}.pid"
    process = psutil.Process(int(pid_file.read_text()))
    process.kill()
    eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


def restart() -> None:
    """Starts what was killed."""
    with running_slurm(*options_of(os.environ["SLURM_CONF"])):
        pass  # which the fixture keeps running


def steady(backend: Backend, name: str) -> RunState | None:
    """The run's state, where Slurm may be away."""
    try:
        return state(backend, name)
    except BackendUnavailable:
        return None


class TestWithAccounting(ExecutionContract, SlotContract):
    """The contract where sacct answers."""

    @pytest.fixture
    def cluster(
        self, slurm_accounting_conf: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[SlurmHome]:
        with home_on(slurm_accounting_conf, tmp_path, monkeypatch) as home:
            yield home

    @pytest.fixture
    def run(self) -> str:
        return "run"

    @pytest.fixture
    def backend_with(self, cluster: SlurmHome) -> WithSlots:
        return cluster.backend


def test_a_slurmctld_that_is_killed_and_restarted_loses_no_run(cluster: SlurmHome, tmp_path: Path) -> None:
    backend = cluster.backend(slots=8, command_seconds=5)
    requests = [RunRequest(f"run-{n}", shell(f"echo {n} >> {tmp_path}/starts; sleep 15")) for n in range(8)]
    for request in requests[:4]:
        backend.submit(request)
    wait_for(backend, "run-0", [RunState.RUNNING])
    time.sleep(6)  # until slurmctld has saved its state
    kill_daemon("slurmctld")
    try:
        with pytest.raises(BackendUnavailable):
            backend.describe(["run-0"])
        with pytest.raises(BackendUnavailable):
            backend.submit(requests[4])
    finally:
        restart()
    for request in requests:
        eventually(lambda: steady(backend, "nobody") is None and backend.capacity().total == 8)
        backend.submit(request)
    eventually(lambda: all(state(backend, one.name) == RunState.SUCCEEDED for one in requests), 90)
    assert sorted((tmp_path / "starts").read_text().split()) == [str(n) for n in range(8)]


def test_a_job_that_slurmctld_forgets_is_looked_for_and_then_given_up(cluster: SlurmHome, tmp_path: Path) -> None:
    """slurmctld dies before it has saved that it has accepted the job."""
    backend = cluster.backend(missing_seconds=5, command_seconds=5, options=["--hold"])
    backend.submit(RunRequest("run", shell(f"touch {tmp_path}/started")))
    kill_daemon("slurmctld")
    restart()
    if cluster.jobs():  # it had saved it after all
        assert state(backend, "run") == RunState.PENDING
        return
    status = backend.describe(["run"])["run"]
    assert status is not None
    assert status.state == RunState.UNKNOWN
    eventually(lambda: state(backend, "run") == RunState.KILLED, 60)
    assert not (tmp_path / "started").exists()


def test_a_node_that_dies_takes_its_run_away(cluster: SlurmHome) -> None:
    backend = cluster.backend(options=["--nodelist=n1"])
    backend.submit(RunRequest("run", SLEEP))
    wait_for(backend, "run", [RunState.RUNNING])
    eventually((cluster.folder("run") / "process.json").exists)
    kill_daemon("n1")
    supervisor = psutil.Process(cluster.processes("run")[0])
    for process in [*supervisor.parents()[:1], supervisor, *supervisor.children(recursive=True)]:  # slurmstepd first
        process.kill()
    try:
        eventually(lambda: state(backend, "run") == RunState.KILLED, 120)
        status = backend.describe(["run"])["run"]
        assert status is not None
        assert (status.preempted, status.reason) == (True, "its node failed")
        assert backend.capacity().free == 2
    finally:
        restart()


def test_a_slurmd_that_restarts_disturbs_no_run(cluster: SlurmHome, tmp_path: Path) -> None:
    backend = cluster.backend(options=["--nodelist=n1"])
    backend.submit(RunRequest("run", shell(f"until [ -e {tmp_path}/gate ]; do sleep 0.1; done")))
    wait_for(backend, "run", [RunState.RUNNING])
    kill_daemon("n1")
    time.sleep(2)
    assert state(backend, "run") == RunState.RUNNING
    restart()
    (tmp_path / "gate").touch()
    assert wait_for(backend, "run", ENDED) == RunState.SUCCEEDED


def test_scancel_by_hand_ends_a_running_run(cluster: SlurmHome) -> None:
    backend = cluster.backend()
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); "
    backend.submit(RunRequest("run", python(f"{stubborn} time.sleep(60)")))
    eventually(lambda: "ready" in backend.logs("run"))
    slurm("scancel", cluster.jobs("%i")[0])
    assert wait_for(backend, "run", ENDED) == RunState.KILLED
    status = backend.describe(["run"])["run"]
    assert status is not None
    assert not status.preempted


def test_the_time_limit_is_announced_and_is_no_fault_of_the_run(cluster: SlurmHome) -> None:
    backend = cluster.backend(time="1")
    obedient = "import os, signal, sys, time; signal.signal(signal.SIGUSR1, lambda *_: sys.exit(75)); time.sleep(300)"
    backend.submit(RunRequest("obedient", python(obedient)))
    backend.submit(RunRequest("deaf", shell("trap '' USR1 TERM; while :; do sleep 0.2; done")))
    eventually(lambda: state(backend, "obedient") in ENDED and state(backend, "deaf") in ENDED, 200)
    obeyed, killed = backend.describe(["obedient"])["obedient"], backend.describe(["deaf"])["deaf"]
    assert obeyed == RunStatus(RunState.FAILED, "it ended with exit code 75", 75)
    assert killed is not None
    assert obeyed is not None
    assert killed.state == RunState.KILLED
    assert (obeyed.preempted, killed.preempted) == (True, True)


def test_a_run_without_an_exit_file_is_lost_once_slurm_has_forgotten_it(cluster: SlurmHome) -> None:
    backend = cluster.backend(missing_seconds=2)
    backend.submit(RunRequest("run", SLEEP))
    wait_for(backend, "run", [RunState.RUNNING])
    supervisor, run = cluster.processes("run")
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not cluster.jobs(), 200)  # nobody looks until MinJobAge is over
    assert not (cluster.folder("run") / "exit.json").exists()
    eventually(lambda: state(backend, "run") in ENDED, 20)
    status = backend.describe(["run"])["run"]
    assert status is not None
    by = "its job ended" if options_of(os.environ["SLURM_CONF"]) else "Slurm has not listed its job"
    assert (status.reason or "").startswith(by)
    with suppress(ProcessLookupError):  # Slurm has killed it, if it keeps track of processes by cgroups
        os.killpg(run, signal.SIGKILL)


def test_a_full_shared_disk_starts_nothing_and_loses_nothing(
    cluster: SlurmHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf, gate = os.environ["SLURM_CONF"], tmp_path / "gate"
    with tmpfs(tmp_path / "disk", "1m") as disk, home_on(conf, disk, monkeypatch) as home:
        backend = home.backend(missing_seconds=2)
        backend.submit(RunRequest("first", shell(f"until [ -e {gate} ]; do sleep 0.1; done")))
        home.processes("first")
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))
        with pytest.raises(BackendUnavailable, match=r"No space left.*disk not full"):
            backend.submit(RunRequest("second", SLEEP))
        assert backend.describe(["second"]) == {"second": None}
        gate.touch()  # the first run ends, and cannot say how
        eventually(lambda: state(backend, "first") in ENDED, 60)
        filler.unlink()
        backend.submit(RunRequest("second", shell("exit 0")))
        assert wait_for(backend, "second", ENDED) == RunState.SUCCEEDED


def test_two_hundred_submissions(cluster: SlurmHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("sbatch", "squeue", "sinfo", "sacct", "scancel"):
        path = folder / program
        path.write_text(f'#!/bin/sh\necho {program} >> {calls}\nexec /usr/bin/{program} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    backend = cluster.backend(slots=200)
    names = [f"many-{number}" for number in range(200)]
    begun = time.monotonic()
    answers = backend.submit_all([RunRequest(name, ("/bin/sleep", "600")) for name in names])
    submitted = time.monotonic()
    assert answers == [str(cluster.folder(name)) for name in names]
    found = backend.describe(names)
    described = time.monotonic()
    assert {status and status.state for status in found.values()} <= {RunState.PENDING, RunState.RUNNING}
    assert backend.capacity().free == 0
    counts = {program: calls.read_text().split().count(program) for program in ("sbatch", "squeue", "sinfo")}
    print(f"200 submissions {submitted - begun:.2f} s, their status {described - submitted:.2f} s, calls {counts}")
    assert counts["sbatch"] == 200
    assert counts["squeue"] + counts["sinfo"] <= 6
    for name in names:
        backend.cancel(name)
    eventually(lambda: all(status and status.state in ENDED for status in backend.describe(names).values()), 120)
