"""The contract of a backend whose runs are processes that tests can look at, signal and lose."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mitorch_service.backends.base import Backend, Capacity, RunRequest, RunStatus
from mitorch_service.backends.optional import LiveRun, RunListing
from mitorch_service.errors import NoCapacity
from mitorch_service.models.attempts.run_state import RunState
from tests.contracts.backends.backend_suite import ENDED, SLEEP, ExecutionContract, SlotContract, WithSlots
from tests.contracts.backends.local_cluster import LocalCluster, eventually, lives, python, shell, state, wait_for


class ProcessBackendContract(ExecutionContract, SlotContract):
    """Needs a fixture `cluster`."""

    @pytest.fixture
    def run(self) -> str:
        return "run"

    @pytest.fixture
    def backend_with(self, cluster: LocalCluster) -> WithSlots:
        return cluster.backend

    @pytest.fixture
    def backend(self, cluster: LocalCluster) -> Backend:
        return cluster.backend(slots=2)

    def test_a_run_is_running_until_it_succeeds(self, backend: Backend, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        where = backend.submit(RunRequest("run", shell(f"until [ -e {gate} ]; do sleep 0.01; done")))
        assert where is not None
        wait_for(backend, "run", [RunState.RUNNING])
        gate.touch()
        wait_for(backend, "run", ENDED)
        assert backend.describe(["run"])["run"] == RunStatus(RunState.SUCCEEDED, exit_code=0)

    def test_a_run_that_fails_tells_its_exit_code(self, backend: Backend) -> None:
        backend.submit(RunRequest("run", shell("exit 3")))
        assert wait_for(backend, "run", ENDED) == RunState.FAILED
        status = backend.describe(["run"])["run"]
        assert status == RunStatus(RunState.FAILED, "it ended with exit code 3", 3)

    def test_a_command_that_cannot_be_started_is_no_run_for_ever(self, backend: Backend) -> None:
        backend.submit(RunRequest("run", ("/no/such/program",)))
        assert wait_for(backend, "run", ENDED) in (RunState.FAILED, RunState.KILLED)

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGRTMIN + 3])
    def test_a_run_that_a_signal_ends_was_killed_and_the_reason_names_it(self, backend: Backend, number: int) -> None:
        backend.submit(RunRequest("run", python(f"import os; os.kill(os.getpid(), {int(number)})")))
        assert wait_for(backend, "run", ENDED) == RunState.KILLED
        status = backend.describe(["run"])["run"]
        assert status is not None
        assert status.exit_code is None
        name = number.name if isinstance(number, signal.Signals) else str(number)
        assert name in (status.reason or "")

    def test_a_second_submission_of_a_name_starts_nothing(self, backend: Backend, tmp_path: Path) -> None:
        request = RunRequest("run", shell(f"echo started >> {tmp_path}/starts; sleep 0.2"))
        first = backend.submit(request)
        assert backend.submit(request) == first
        wait_for(backend, "run", ENDED)
        backend.submit(request)  # and none after its end
        assert state(backend, "run") == RunState.SUCCEEDED
        assert (tmp_path / "starts").read_text() == "started\n"

    def test_submissions_from_several_processes_at_once_start_a_run_once(
        self, cluster: LocalCluster, tmp_path: Path
    ) -> None:
        request = RunRequest("run", shell(f"echo started >> {tmp_path}/starts; sleep 0.2"))
        answers = cluster.submit_elsewhere(request, processes=4)
        assert len(set(answers)) == 1
        wait_for(cluster.backend(), "run", ENDED)
        assert (tmp_path / "starts").read_text() == "started\n"

    def test_a_run_outlives_who_submitted_it_and_a_new_backend_finds_it_by_its_name(
        self, cluster: LocalCluster, tmp_path: Path
    ) -> None:
        gate = tmp_path / "gate"
        cluster.submit_elsewhere(RunRequest("run", shell(f"until [ -e {gate} ]; do sleep 0.01; done; exit 7")))
        backend = cluster.backend()
        wait_for(backend, "run", [RunState.RUNNING])
        gate.touch()
        wait_for(backend, "run", ENDED)
        assert backend.describe(["run"])["run"] == RunStatus(RunState.FAILED, "it ended with exit code 7", 7)

    def test_many_runs_are_described_at_once(self, backend: Backend) -> None:
        backend.submit(RunRequest("good", shell("exit 0")))
        backend.submit(RunRequest("bad", shell("exit 1")))
        eventually(lambda: all(state(backend, name) in ENDED for name in ("good", "bad")))
        found = backend.describe(["bad", "unknown", "good"])
        assert {name: status and status.state for name, status in found.items()} == {
            "bad": RunState.FAILED,
            "unknown": None,
            "good": RunState.SUCCEEDED,
        }

    def test_the_runs_that_go_on_are_listed(self, backend: Backend) -> None:
        def listed() -> list[LiveRun]:
            assert isinstance(backend, RunListing)
            return [one for one in backend.live_runs() if one.name == "run"]

        backend.submit(RunRequest("run", SLEEP))
        (run,) = listed()
        assert run.nodes == 1
        assert run.since is not None and abs(datetime.now(UTC) - run.since) < timedelta(minutes=1)
        backend.cancel("run")
        wait_for(backend, "run", ENDED)
        assert listed() == []

    def test_a_canceled_run_sees_sigterm_and_may_end_cleanly(self, backend: Backend) -> None:
        clean = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('cleaned up') or 0))"
        backend.submit(RunRequest("run", python(f"{clean}; print('ready', flush=True); time.sleep(60)")))
        eventually(lambda: "ready" in backend.logs("run"))
        backend.cancel("run")
        assert wait_for(backend, "run", ENDED) == RunState.SUCCEEDED
        assert "cleaned up" in backend.logs("run")

    def test_a_run_that_ignores_sigterm_is_killed_with_its_children_after_the_grace_period(
        self, cluster: LocalCluster, tmp_path: Path
    ) -> None:
        backend = cluster.backend(grace=0.3)
        child = f"trap '' TERM; echo $$ > {tmp_path}/child; while :; do sleep 0.05; done"
        backend.submit(
            RunRequest("run", shell(f"trap '' TERM; sh -c \"{child.replace('$', chr(92) + '$')}\" & wait; wait"))
        )
        eventually(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text().endswith("\n"))
        backend.cancel("run")
        assert wait_for(backend, "run", ENDED) == RunState.KILLED
        eventually(lambda: not lives(int((tmp_path / "child").read_text())))

    def test_what_a_run_leaves_behind_ends_with_it(self, backend: Backend, tmp_path: Path) -> None:
        backend.submit(RunRequest("run", shell(f"sleep 60 & echo $! > {tmp_path}/child; exit 0")))
        assert wait_for(backend, "run", ENDED) == RunState.SUCCEEDED
        eventually(lambda: not lives(int((tmp_path / "child").read_text())))

    @pytest.mark.parametrize("attempt", range(3))
    def test_a_cancel_right_after_the_submission_is_not_lost(self, backend: Backend, attempt: int) -> None:
        backend.submit(RunRequest("run", SLEEP))
        if attempt:  # each time a little later on its way to running
            eventually(lambda: state(backend, "run") == RunState.RUNNING or attempt == 1)
        backend.cancel("run")
        assert wait_for(backend, "run", ENDED) == RunState.KILLED

    def test_the_output_is_there_while_the_run_goes_on_and_after_its_end(
        self, backend: Backend, tmp_path: Path
    ) -> None:
        gate = tmp_path / "gate"
        script = f"echo out; echo err >&2; until [ -e {gate} ]; do sleep 0.01; done; echo end"
        backend.submit(RunRequest("run", shell(script)))
        eventually(lambda: backend.logs("run") == "out\nerr\n")
        gate.touch()
        wait_for(backend, "run", ENDED)
        assert backend.logs("run") == "out\nerr\nend\n"

    def test_of_a_long_output_the_end_is_given(self, backend: Backend) -> None:
        backend.submit(RunRequest("run", python("for i in range(5000): print('line', i)")))
        wait_for(backend, "run", ENDED)
        tail = backend.logs("run", max_bytes=40)
        assert len(tail) == 40
        assert tail.endswith("line 4998\nline 4999\n")

    def test_output_that_is_no_text_is_still_shown(self, backend: Backend) -> None:
        backend.submit(RunRequest("run", python("import os; os.write(1, b'caf\\xc3\\xa9 \\xff\\xfe end')")))
        wait_for(backend, "run", ENDED)
        assert backend.logs("run") == "café \ufffd\ufffd end"

    def test_a_full_cluster_takes_no_more_and_forgets_that_it_was_asked(self, cluster: LocalCluster) -> None:
        backend = cluster.backend(slots=1)
        assert backend.capacity() == Capacity(1, 1)
        backend.submit(RunRequest("first", SLEEP))
        assert backend.capacity() == Capacity(1, 0)
        with pytest.raises(NoCapacity, match="no free slot"):
            backend.submit(RunRequest("second", SLEEP))
        assert state(backend, "second") is None
        backend.submit(RunRequest("first", SLEEP))  # which is there already
        backend.cancel("first")
        wait_for(backend, "first", ENDED)
        backend.submit(RunRequest("second", shell("exit 0")))
        assert wait_for(backend, "second", ENDED) == RunState.SUCCEEDED

    def test_a_submission_of_an_ended_run_needs_no_slot(self, cluster: LocalCluster) -> None:
        backend = cluster.backend(slots=1)
        backend.submit(RunRequest("ended", shell("exit 0")))
        wait_for(backend, "ended", ENDED)
        backend.submit(RunRequest("other", SLEEP))
        backend.submit(RunRequest("ended", shell("exit 0")))
        assert state(backend, "ended") == RunState.SUCCEEDED

    @pytest.mark.parametrize("script", ["exit 0", "exit 5", "kill -9 $$", "sleep 60 & exit 0"])
    def test_every_kind_of_end_frees_the_slot(self, cluster: LocalCluster, script: str) -> None:
        backend = cluster.backend(slots=1)
        backend.submit(RunRequest("run", shell(script)))
        wait_for(backend, "run", ENDED)
        assert backend.capacity() == Capacity(1, 1)

    def test_a_cluster_without_slots_takes_nothing(self, cluster: LocalCluster) -> None:
        backend = cluster.backend(slots=0)
        assert backend.capacity() == Capacity(0, 0)
        with pytest.raises(NoCapacity):
            backend.submit(RunRequest("run", SLEEP))

    def test_two_backends_on_one_cluster_never_exceed_its_slots(self, cluster: LocalCluster) -> None:
        one, other = cluster.backend(slots=2), cluster.backend(slots=2)
        one.submit(RunRequest("a", SLEEP))
        other.submit(RunRequest("b", SLEEP))
        assert one.capacity() == other.capacity() == Capacity(2, 0)
        with pytest.raises(NoCapacity):
            one.submit(RunRequest("c", SLEEP))
