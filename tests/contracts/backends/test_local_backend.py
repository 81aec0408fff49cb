"""Properties of local runs only: processes to lose, slots as files, GPUs, a disk that fills up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mitorch_service.backends.base import Capacity, RunRequest
from mitorch_service.backends.local import start_supervisor
from mitorch_service.backends.local.backend import visible_gpus
from mitorch_service.errors import BackendUnavailable
from mitorch_service.file_access import FileAccess
from mitorch_service.models.attempts.run_state import RunState
from tests.contracts.backends.backend_suite import ENDED, SLEEP
from tests.contracts.backends.local_cluster import LocalCluster, eventually, lives, python, shell, state, wait_for
from tests.contracts.backends.process_backend_suite import ProcessBackendContract
from tests.small_disk import tmpfs


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    cluster = LocalCluster(tmp_path / "home")
    yield cluster
    cluster.close()


class TestLocalBackend(ProcessBackendContract):
    """Runs on this machine."""


def test_a_run_whose_process_is_killed_is_killed(cluster: LocalCluster) -> None:
    backend = cluster.backend(slots=1)
    backend.submit(RunRequest("run", SLEEP))
    os.kill(cluster.processes("run")[1], signal.SIGKILL)
    assert wait_for(backend, "run", ENDED) == RunState.KILLED
    status = backend.describe(["run"])["run"]
    assert status is not None
    assert "SIGKILL" in (status.reason or "")
    assert "memory" in (status.reason or "")
    assert backend.capacity().free == 1


def test_a_run_goes_on_without_its_supervisor_and_has_a_defined_end(cluster: LocalCluster, tmp_path: Path) -> None:
    backend = cluster.backend(slots=1)
    gate = tmp_path / "gate"
    backend.submit(RunRequest("run", shell(f"until [ -e {gate} ]; do sleep 0.01; done; echo done")))
    os.kill(cluster.processes("run")[0], signal.SIGKILL)
    eventually(lambda: not lives(cluster.processes("run")[0]))
    assert state(backend, "run") == RunState.RUNNING
    assert backend.capacity().free == 0
    gate.touch()
    assert wait_for(backend, "run", ENDED) == RunState.KILLED
    status = backend.describe(["run"])["run"]
    assert status is not None
    assert "without an exit code" in (status.reason or "")
    assert backend.logs("run") == "done\n"
    assert backend.capacity().free == 1


def test_a_run_whose_processes_all_vanish_is_killed(cluster: LocalCluster) -> None:
    backend = cluster.backend(slots=1)
    backend.submit(RunRequest("run", SLEEP))
    for pid in cluster.processes("run"):
        os.kill(pid, signal.SIGKILL)
    assert wait_for(backend, "run", ENDED) == RunState.KILLED
    assert backend.capacity().free == 1


def test_a_run_without_its_supervisor_can_be_canceled(cluster: LocalCluster) -> None:
    backend = cluster.backend()
    backend.submit(RunRequest("run", SLEEP))
    supervisor, run = cluster.processes("run")
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not lives(supervisor))
    backend.cancel("run")
    assert wait_for(backend, "run", ENDED) == RunState.KILLED
    assert not lives(run)


def test_a_run_without_its_supervisor_that_ignores_sigterm_is_killed_by_a_later_cancel(cluster: LocalCluster) -> None:
    backend = cluster.backend(grace=0.2)
    backend.submit(RunRequest("run", shell("trap '' TERM; echo ready; while :; do sleep 0.05; done")))
    eventually(lambda: backend.logs("run") == "ready\n")
    supervisor, run = cluster.processes("run")
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not lives(supervisor))

    def canceled_again() -> bool:
        backend.cancel("run")  # as every pass of the controller does
        return state(backend, "run") == RunState.KILLED

    eventually(canceled_again)
    assert not lives(run)


def test_a_run_that_is_canceled_before_it_starts_never_does(cluster: LocalCluster, tmp_path: Path) -> None:
    backend = cluster.backend()
    cluster.folder("run").mkdir(parents=True)  # as far as a submission that died had come
    assert state(backend, "run") == RunState.PENDING
    backend.cancel("run")
    assert state(backend, "run") == RunState.KILLED
    backend.submit(RunRequest("run", shell(f"touch {tmp_path}/started")))
    assert state(backend, "run") == RunState.KILLED
    assert not (tmp_path / "started").exists()
    assert backend.capacity() == Capacity(2, 2)


def test_a_cancel_while_the_run_starts_is_not_lost(cluster: LocalCluster) -> None:
    backend = cluster.backend()
    backend.submit(RunRequest("run", SLEEP))
    end = time.monotonic() + 20
    while not (cluster.folder("run") / "started").exists():  # no pause: the moment is short
        assert time.monotonic() < end
    backend.cancel("run")
    assert wait_for(backend, "run", ENDED) == RunState.KILLED


def test_a_submission_that_died_half_way_is_completed_by_the_next(cluster: LocalCluster) -> None:
    backend = cluster.backend(slots=1)
    cluster.folder("run").mkdir(parents=True)
    slots = cluster.home / "slots" / "cluster"
    slots.mkdir(parents=True)
    (slots / "0").write_text("run")
    backend.submit(RunRequest("run", shell("exit 0")))
    assert wait_for(backend, "run", ENDED) == RunState.SUCCEEDED


def test_a_run_that_never_started_is_given_up_after_a_while_for_good(cluster: LocalCluster, tmp_path: Path) -> None:
    backend = cluster.backend()
    folder = cluster.folder("run")
    folder.mkdir(parents=True)
    long_ago = folder.stat().st_mtime - 3600
    os.utime(folder, (long_ago, long_ago))
    for _ in range(2):
        status = backend.describe(["run"])["run"]
        assert status is not None
        assert (status.state, status.reason) == (RunState.KILLED, "its process never started")
    program = [
        start_supervisor.__file__,
        str(folder),
        "1",
        "900",
        *shell(f"touch {tmp_path}/started"),
    ]  # it was only slow
    subprocess.run([sys.executable, *program], check=True)
    assert not (tmp_path / "started").exists()


def test_a_run_whose_supervisor_died_before_it_could_name_it_ends(cluster: LocalCluster) -> None:
    backend = cluster.backend()
    folder = cluster.folder("run")
    (folder / "started").mkdir(parents=True)
    with subprocess.Popen(SLEEP, env={**os.environ, "MITORCH_RUN": str(folder)}) as run:
        long_ago = folder.stat().st_mtime - 3600
        os.utime(folder, (long_ago, long_ago))
        assert state(backend, "run") == RunState.KILLED
        assert run.wait(20) == -signal.SIGKILL


def test_a_run_whose_supervisor_is_killed_before_it_starts_it_is_given_up_at_once(cluster: LocalCluster) -> None:
    """A pass that did not start it, as each of cron's, knows it as well."""
    submitting, other = cluster.backend(slots=1), cluster.backend(slots=1)
    submitting.submit(RunRequest("run", SLEEP))
    (supervisor,) = [child for child in psutil.Process().children() if "start_supervisor.py" in " ".join(_words(child))]
    supervisor.suspend()
    assert not (cluster.folder("run") / "started").exists()
    assert state(other, "run") == RunState.PENDING
    supervisor.kill()
    assert wait_for(other, "run", ENDED) == RunState.KILLED
    assert other.capacity() == Capacity(1, 1)


def test_the_second_supervisor_of_a_run_does_not_end_it(cluster: LocalCluster) -> None:
    """As of two passes, of which the first was killed right after it had started one."""
    backend = cluster.backend()
    with subprocess.Popen(SLEEP, env={**os.environ, "MITORCH_RUN": str(cluster.folder("run"))}) as first:
        (cluster.folder("run") / "started").mkdir(parents=True)  # the first one's, whose ids are not yet written
        (cluster.folder("run") / "spawned.json").write_text(json.dumps({"supervisor": [2**22 - 1, 0.0]}))
        assert state(backend, "run") == RunState.PENDING
        first.kill()
    assert state(backend, "run") == RunState.KILLED


@pytest.mark.parametrize("pids", ["dead", "reused", "leader of another group"])
def test_a_slot_taken_before_a_restart_of_the_machine_is_free(cluster: LocalCluster, pids: str) -> None:
    other = subprocess.Popen(SLEEP, process_group=0)  # a process that has got the number of a former run's
    try:
        number = {"dead": 2**22 - 1, "reused": os.getpid(), "leader of another group": other.pid}[pids]
        folder = cluster.folder("old")
        folder.mkdir(parents=True)
        identity = [number, psutil.boot_time() - 1000]
        (folder / "process.json").write_text(json.dumps({"supervisor": identity, "run": identity}))
        (folder / "started").mkdir()
        slots = cluster.home / "slots" / "cluster"
        slots.mkdir(parents=True)
        (slots / "0").write_text("old")
        backend = cluster.backend(slots=1)
        assert state(backend, "old") == RunState.KILLED
        assert backend.capacity() == Capacity(1, 1)
        backend.cancel("old")
        assert lives(number) == (pids != "dead")  # nobody else's process is ended
    finally:
        other.kill()
        other.wait()


def test_each_slot_sees_its_share_of_the_gpus(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    assert cluster.backend(slots=None).capacity() == Capacity(4, 4)  # one for each
    backend = cluster.backend(slots=2)
    show = shell("echo $CUDA_VISIBLE_DEVICES; sleep 0.5")
    backend.submit(RunRequest("a", show))
    backend.submit(RunRequest("b", show))
    eventually(lambda: all(backend.logs(name) for name in ("a", "b")))
    assert sorted(backend.logs(name) for name in ("a", "b")) == ["4,6\n", "5,7\n"]


def test_more_slots_than_gpus_share_them(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-3c1")
    backend = cluster.backend(slots=2)
    for name in ("a", "b"):
        backend.submit(RunRequest(name, shell("echo $CUDA_VISIBLE_DEVICES; sleep 0.5")))
    eventually(lambda: all(backend.logs(name) for name in ("a", "b")))
    assert [backend.logs(name) for name in ("a", "b")] == ["GPU-3c1\n", "GPU-3c1\n"]


@pytest.mark.parametrize(
    ("given", "gpus"),
    [("", []), ("-1", []), ("0", ["0"]), ("1, 0", ["1", "0"]), ("GPU-a,GPU-b", ["GPU-a", "GPU-b"])],
)
def test_gpus_are_those_that_the_environment_names(given: str, gpus: list[str]) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": given}) == gpus


def test_settings_reach_the_run_and_no_file_or_environment(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "mongodb://user:hunter2@db.example/"
    for name in ("MITORCH_DB_URI", "VISION_AUTH"):  # as whoever starts the controller has them
        monkeypatch.setenv(name, secret)
    backend = cluster.backend(environment={"MITORCH_DB_URI": secret}, hidden=["VISION_AUTH"])
    show = "import os; print(os.pread(int(os.environ['MITORCH_SETTINGS_FD']), 999, 0).decode(), flush=True)"
    backend.submit(RunRequest("run", python(f"{show}; import time; time.sleep(600)")))
    eventually(lambda: backend.logs("run") != "")
    assert json.loads(backend.logs("run")) == {"MITORCH_DB_URI": secret}
    supervisor, run = cluster.processes("run")
    for pid in (supervisor, run):
        assert b"hunter2" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert not [link for link in Path(f"/proc/{supervisor}/fd").iterdir() if "settings" in str(link.readlink())]
    (cluster.folder("run") / "log.txt").write_text("")
    files = [path for path in cluster.home.rglob("*") if path.is_file()]
    assert len(files) >= 3  # log, processes, slot
    assert not [path for path in files if b"hunter2" in path.read_bytes()]


ELSEWHERE = """
import os, subprocess, sys, time
command = [sys.executable, "-S", "-E", "-c", "import time; time.sleep(600)"]
print(subprocess.Popen(command, start_new_session=True).pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("without_supervisor", [False, True])
def test_what_a_killed_run_has_started_in_other_sessions_ends_with_it(
    cluster: LocalCluster, without_supervisor: bool
) -> None:
    backend = cluster.backend(slots=1)
    backend.submit(RunRequest("run", python(ELSEWHERE)))
    eventually(lambda: backend.logs("run").endswith("\n"))
    daemon = int(backend.logs("run"))
    supervisor, run = cluster.processes("run")
    for pid in [supervisor, run] if without_supervisor else [run]:
        os.kill(pid, signal.SIGKILL)
    assert wait_for(backend, "run", ENDED) == RunState.KILLED  # only now does a pass start the next attempt
    assert not lives(daemon)


DAEMON = """
import os, subprocess, sys, time
first, second = os.pipe()
if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    os.dup2(1, 2)
    os.set_inheritable(second, True)
    os.closerange(3, second)
    hidden = "import os, sys, time; os.write(int(sys.argv[1]), b'%d' % os.getpid()); os.close(int(sys.argv[1])); "
    os.execve("/usr/bin/env", ["env", "-i", "setsid", "--fork", sys.executable, "-I", "-S", "-c",
        hidden + "time.sleep(600)", str(second)], {"PATH": os.defpath})
print(os.read(first, 99).decode(), flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the mark is a limit of Linux")
@pytest.mark.parametrize("without_supervisor", [False, True])
def test_a_daemon_without_environment_folder_or_descriptors_ends_with_its_run(
    cluster: LocalCluster, without_supervisor: bool
) -> None:
    backend = cluster.backend(slots=2)
    backend.submit(RunRequest("run", python(DAEMON)))
    backend.submit(RunRequest("other", SLEEP))
    eventually(lambda: backend.logs("run").endswith("\n"))
    daemon = int(backend.logs("run"))
    assert os.getsid(daemon) == daemon
    assert b"run" not in Path(f"/proc/{daemon}/environ").read_bytes()
    supervisor, run = cluster.processes("run")
    for pid in [supervisor, run] if without_supervisor else [run]:
        os.kill(pid, signal.SIGKILL)
    assert wait_for(backend, "run", ENDED) == RunState.KILLED
    assert not lives(daemon)
    assert all(lives(pid) for pid in cluster.processes("other"))  # its neighbour


def test_a_run_that_gives_no_sign_of_life_is_killed(cluster: LocalCluster) -> None:
    backend = cluster.backend(slots=2, max_silence=0.4)
    beat = "import os, time\nfile = int(os.environ['MITORCH_ALIVE'].split(':')[0])\n"
    backend.submit(RunRequest("alive", python(beat + "for _ in range(60): os.write(file, b'.'); time.sleep(0.02)")))
    backend.submit(RunRequest("stopped", python(beat + "os.write(file, b'.'); os.kill(os.getpid(), 19)")))
    assert wait_for(backend, "stopped", ENDED) == RunState.KILLED
    status = backend.describe(["stopped"])["stopped"]
    assert status is not None
    assert status.reason == "it gave no sign of life for 0.4 s (stopped or hung) and was killed"
    assert wait_for(backend, "alive", ENDED) == RunState.SUCCEEDED


def test_a_stopped_supervisor_does_not_keep_a_run_from_being_canceled(cluster: LocalCluster) -> None:
    backend = cluster.backend(grace=0.1)
    backend.submit(RunRequest("run", SLEEP))
    supervisor, run = cluster.processes("run")
    os.kill(supervisor, signal.SIGSTOP)

    def canceled() -> bool:
        backend.cancel("run")
        return not lives(run)

    eventually(canceled)
    assert not lives(run)


@pytest.mark.parametrize("group", [None, os.getegid()])
def test_folders_and_files_are_private_or_the_groups(cluster: LocalCluster, group: int | None) -> None:
    umask = os.umask(0)
    try:
        backend = cluster.backend(access=FileAccess(group))
        backend.submit(RunRequest("run", shell("umask; echo x > results; exit 0")))
        wait_for(backend, "run", ENDED)
    finally:
        os.umask(umask)
    assert backend.logs("run") in ("0000\n", "0\n")  # what it writes elsewhere is its own affair
    (cluster.folder("run") / "results").unlink()
    modes = {(path.is_dir(), oct(path.stat().st_mode & 0o7777)) for path in [cluster.home, *cluster.home.rglob("*")]}
    assert modes == ({(True, "0o700"), (False, "0o600")} if group is None else {(True, "0o2770"), (False, "0o660")})


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system can be mounted by root only")
def test_a_full_disk_below_the_runs_alone_is_told(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    cluster = LocalCluster(tmp_path / "home")
    try:
        with tmpfs(tmp_path / "home" / "runs", "16k"):
            with pytest.raises(BackendUnavailable, match=r"No space left.*MITORCH_HOME"):
                cluster.backend(slots=1).submit(RunRequest("run", shell(f"touch {tmp_path}/started")))
            assert state(cluster.backend(slots=1), "run") is None
        assert not (tmp_path / "started").exists()
    finally:
        cluster.close()


@pytest.mark.parametrize("slot_file_is_there", [False, True])
def test_a_full_disk_is_told_starts_nothing_and_is_got_over(tmp_path: Path, slot_file_is_there: bool) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(home)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can be mounted by root only")
    cluster = LocalCluster(home)
    try:
        backend = cluster.backend(slots=1)
        if slot_file_is_there:
            backend.submit(RunRequest("before", shell("exit 0")))
            wait_for(backend, "before", ENDED)
        filler = home / "filler"
        with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(512))
        with pytest.raises(BackendUnavailable, match=r"No space left.*MITORCH_HOME"):
            backend.submit(RunRequest("run", shell(f"touch {tmp_path}/started; sleep 60")))
        assert state(backend, "run") is None
        assert not (tmp_path / "started").exists()
        filler.unlink()
        backend.submit(RunRequest("run", shell("exit 0")))
        assert wait_for(backend, "run", ENDED) == RunState.SUCCEEDED
    finally:
        cluster.close()
        subprocess.run(["umount", "--lazy", str(home)], check=True)


def test_a_home_that_is_a_file_is_told_by_every_question(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("not a folder")
    cluster = LocalCluster(home)
    backend = cluster.backend()
    for call in (
        lambda: backend.submit(RunRequest("run", SLEEP)),
        lambda: backend.describe(["run"]),  # not "unknown": that would count as a lost run
        lambda: backend.cancel("run"),
        lambda: backend.logs("run"),
        backend.capacity,
    ):
        with pytest.raises(BackendUnavailable, match=r"Not a directory.*Check that MITORCH_HOME is writable"):
            call()


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
