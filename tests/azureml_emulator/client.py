"""The emulator as tests use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from tests.azureml_emulator.__main__ import job_environment

ROOT = Path(__file__).parents[2]
TENANT = "11111111-1111-1111-1111-111111111111"
PRINCIPAL = "22222222-2222-2222-2222-222222222222"
PASSWORD = "principal-password-s3cret"
SUBSCRIPTION = "33333333-3333-3333-3333-333333333333"
GROUP, WORKSPACE, REGION, COMPUTE = "group", "workspace", "westeurope", "cpu"


class EmulatorError(Exception):
    """A command that the emulator could not do."""


class Faults:
    """Faults of calls. Each says which calls it hits by `operation` (see the `ROUTES` of the modules: submit, cancel,
    run.get, run.patch, run.query, run.details, compute.get, secret.get, identity.token, snapshot.create, blob.put, …),
    or by `method` and `path` (a regular expression on host and path); after `skip` calls, for `count` (None: all)."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def status(self, status: int, body: Any = None, **where: Any) -> int:
        """Answers so, without an effect; the body is a document, or the message of an error; `headers` go with it. All
        these return the fault's number."""
        return self._add("status", status=status, body=body, **where)

    def drop_before(self, **where: Any) -> int:
        """Cuts the connection before the effect."""
        return self._add("drop_before", **where)

    def drop_after(self, **where: Any) -> int:
        """Cuts the connection after the effect."""
        return self._add("drop_after", **where)

    def delay(self, seconds: float, **where: Any) -> int:
        """Is slow."""
        return self._add("delay", seconds=seconds, **where)

    def expire_tokens(self, **where: Any) -> int:
        """All tokens expire just before this call."""
        return self._add("expire", **where)

    def lie(self, change: Any, **where: Any) -> int:
        """Answers with these parts of the JSON changed; None removes one."""
        return self._add("merge", body=change, **where)

    def replace(self, body: Any, **where: Any) -> int:
        """Answers with this document, or text, instead."""
        return self._add("replace", body=body, **where)

    def hits(self, number: int) -> int:
        """How often a fault has hit."""
        return int(self._emulator.call("fault_hits", number=number))

    def clear(self) -> None:
        """Everything works again."""
        self._emulator.call("clear_faults")

    def _add(self, kind: str, **fields: Any) -> int:
        return int(self._emulator.call("add_fault", kind=kind, **fields))


class Emulator:
    """A running emulator, and what can be told to it."""

    def __init__(self, folder: Path, addresses: dict[str, str]) -> None:
        self.folder = folder
        self.proxy, self.control, self.ca_path = addresses["proxy"], addresses["control"], Path(addresses["ca"])
        self.faults = Faults(self)

    def environment(self, home: Path) -> dict[str, str]:
        """The variables that make a process come here, with a home of its own (the SDK keeps caches there)."""
        home.mkdir(parents=True, exist_ok=True)
        variables = job_environment(self.proxy, self.ca_path, self.folder)
        ours = [variables["PYTHONPATH"], *filter(None, [os.environ.get("PYTHONPATH")])]  # of a tree not installed
        storage = str(home / ".mitorch" / "artifacts")  # which the emulated nodes reach, as they are on this machine
        return {**variables, "PYTHONPATH": os.pathsep.join(ours), "HOME": str(home), "MITORCH_STORAGE_URL": storage}

    def populate(self, max_nodes: int = 4, **compute: Any) -> None:
        """One service principal, one workspace and one cluster, of the names above."""
        self.add_principal()
        self.add_workspace()
        self.add_compute(max_nodes=max_nodes, **compute)

    def add_principal(
        self, tenant: str = TENANT, principal: str = PRINCIPAL, secret: str = PASSWORD, **fields: Any
    ) -> None:
        """Somebody who may sign in: `expired` is the secret, `workspaces` names those with a role."""
        self.call("add_principal", tenant=tenant, id=principal, secret=secret, **fields)

    def add_workspace(
        self, name: str = WORKSPACE, subscription: str = SUBSCRIPTION, group: str = GROUP, region: str = REGION
    ) -> str:
        """One more workspace; returns its id."""
        return str(self.call("add_workspace", subscription=subscription, group=group, name=name, region=region))

    def add_compute(self, name: str = COMPUTE, workspace: str = WORKSPACE, **fields: Any) -> None:
        """A cluster, or a change of one: vm_size, priority, min_nodes, max_nodes, idle_seconds, unusable, state."""
        self.call("add_compute", workspace=workspace, name=name, **fields)

    def compute(self, name: str = COMPUTE) -> dict[str, Any]:
        """A cluster with its nodes."""
        return dict(self.call("compute", name=name))

    def configure(self, **settings: Any) -> dict[str, Any]:
        """Changes latency, start_delay, kill_grace, token_lifetime, page_size, create_polls, hold, history_lag (see
        `Settings`)."""
        return dict(self.call("configure", **settings))

    def set_secret(self, name: str, value: str, workspace: str = WORKSPACE) -> None:
        """A secret in a workspace's vault."""
        self.call("set_secret", workspace=workspace, name=name, value=value)

    def secrets(self, workspace: str = WORKSPACE) -> dict[str, str]:
        """All of a workspace's secrets."""
        return dict(self.call("secrets", workspace=workspace))

    def assets(self, workspace: str = WORKSPACE) -> dict[str, Any]:
        """Environments, datastores, data sets and models of a workspace."""
        return dict(self.call("assets", workspace=workspace))

    def set_quota(self, family: str, limit: int, workspace: str = WORKSPACE) -> None:
        """How many cores of a family of machines a workspace may use."""
        self.call("set_quota", workspace=workspace, family=family, limit=limit)

    def expire_tokens(self) -> None:
        """All tokens given out are good no longer."""
        self.call("expire_tokens")

    def runs(self) -> list[dict[str, Any]]:
        """All runs, as run history shows them, with statuses, starts, metrics and definition."""
        return list(self.call("runs"))

    def run(self, run_id: str) -> dict[str, Any]:
        """One run."""
        return dict(self.call("run", run_id=run_id))

    def wait(self, run_id: str, *statuses: str, seconds: float = 60) -> str:
        """Waits until a run has one of the statuses (any in which it has ended, where none is said); returns it."""
        wanted = statuses or ("Completed", "Failed", "Canceled")
        return str(self.call("wait", run_id=run_id, statuses=wanted, seconds=seconds))

    def wait_for_log(self, run_id: str, text: str, seconds: float = 60) -> None:
        """Waits until a run has printed the text."""
        self.call("wait_for_log", run_id=run_id, text=text, seconds=seconds)

    def log(self, run_id: str, name: str = "user_logs/std_log.txt") -> str:
        """Returns the output of a run so far."""
        return (self.folder / "runs" / run_id / name).read_text()

    def preempt(self, run_id: str, then: str = "requeue") -> None:
        """Takes a node away from a run, which is queued again (requeue) or fails (fail)."""
        self.call("preempt", run_id=run_id, then=then)

    def vanish(self, run_id: str) -> None:
        """A run is known no longer."""
        self.call("vanish", run_id=run_id)

    def cancel(self, run_id: str) -> None:
        """As if somebody had canceled the run in the studio."""
        self.call("cancel", run_id=run_id)

    def finish(self, run_id: str, status: str, code: str | None = None, message: str = "") -> None:
        """A run that is not running is in this status from now on (see `configure(hold=True)`)."""
        self.call("finish", run_id=run_id, status=status, code=code, message=message)

    def traffic(self, since: int = 0) -> list[dict[str, Any]]:
        """Every call, or those after a `moment`, with heads and bodies; refused hosts have the operation `refused`."""
        with (self.folder / "traffic.jsonl").open("rb") as file:
            file.seek(since)
            return [json.loads(line) for line in file]

    def moment(self) -> int:
        """Now, for `traffic`: the size of its record so far, in bytes."""
        return (self.folder / "traffic.jsonl").stat().st_size

    def refused(self) -> list[str]:
        """The hosts that were asked for and are none of ours."""
        return [record["host"] for record in self.traffic() if record["operation"] == "refused"]

    def left_loopback(self) -> list[str]:
        """The addresses elsewhere that a Python process with this `environment`, or a job, wanted to reach itself. They
        were kept from it (see `guard/sitecustomize.py`)."""
        path = self.folder / "left_loopback.txt"
        return path.read_text().splitlines() if path.exists() else []

    def call(self, command: str, **arguments: Any) -> Any:
        """Does a command of the control server."""
        request = urllib.request.Request(f"{self.control}/{command}", json.dumps(arguments).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as response:
                return json.loads(response.read())
        except HTTPError as error:
            with error:
                raise EmulatorError(f"{command}: {json.loads(error.read())}") from None


@contextmanager
def running(folder: Path) -> Iterator[Emulator]:
    """An emulator with nothing in it, in a process of its own that ends with the block, and with this process."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.azureml_emulator", "--folder", str(folder)]
    with (folder / "emulator.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    assert process.stdin is not None and process.stdout is not None
    with process:
        line = process.stdout.readline()
        assert line, f"the emulator has not started: {(folder / 'emulator.log').read_text()}"
        yield Emulator(folder, json.loads(line))
        process.stdin.close()
        process.wait(timeout=30)
