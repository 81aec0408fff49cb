"""Commands of tests to the emulator, over HTTP on loopback: one POST per command, with its arguments as JSON."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.azureml_emulator import computes, execution, identity, key_vault, nodes
from tests.azureml_emulator.faults import Faults
from tests.azureml_emulator.run_documents import run_document
from tests.azureml_emulator.state import Azure, Compute, Principal, Workspace

Command = Callable[..., Any]


class Commands:
    """The public methods are the commands."""

    def __init__(self, azure: Azure, faults: Faults) -> None:
        self._azure, self._faults = azure, faults

    def configure(self, **settings: Any) -> dict[str, Any]:
        """Changes settings (see `Settings`); returns all of them."""
        return self._azure.configure(**settings)

    def add_workspace(self, subscription: str, group: str, name: str, region: str) -> str:
        """One more workspace; returns its id."""
        workspace = Workspace(subscription, group, name, region)
        with self._azure.changed:
            self._azure.workspaces.append(workspace)
        return workspace.id

    def add_compute(self, workspace: str, **fields: Any) -> None:
        """A cluster (see `Compute`), or other values for the one of this name."""
        found = self._workspace(workspace)
        with self._azure.changed:
            compute = found.computes.setdefault(fields["name"], Compute(fields["name"]))
            for name, value in fields.items():
                setattr(compute, name, value)
            self._azure.changed.notify_all()

    def add_principal(self, **fields: Any) -> None:
        """Somebody who may sign in (see `Principal`); one of this tenant and id is replaced."""
        principal = Principal(**fields)
        with self._azure.changed:
            others = [p for p in self._azure.principals if (p.tenant, p.id) != (principal.tenant, principal.id)]
            self._azure.principals = [*others, principal]

    def compute(self, name: str) -> dict[str, Any]:
        """A cluster with its nodes."""
        with self._azure.changed:
            return asdict(computes.find(self._azure, name)[1])

    def identity_token(self, secret: str | None, client_id: str | None) -> dict[str, Any] | None:
        """A token for the computes' identity."""
        return key_vault.identity_token(self._azure, secret, client_id)

    def set_secret(self, workspace: str, name: str, value: str) -> None:
        """A secret in a workspace's vault."""
        self._workspace(workspace).secrets[name] = value

    def secrets(self, workspace: str) -> dict[str, str]:
        """All of a workspace's secrets."""
        return self._workspace(workspace).secrets

    def assets(self, workspace: str) -> dict[str, Any]:
        """Environments, datastores, data sets and models of a workspace."""
        return self._workspace(workspace).assets

    def set_quota(self, workspace: str, family: str, limit: int) -> None:
        """How many cores of a family of machines a workspace may use."""
        self._workspace(workspace).quota[family] = limit

    def add_fault(self, **fields: Any) -> int:
        """One more fault (see `Fault`); returns its number."""
        return self._faults.add(**fields)

    def clear_faults(self) -> None:
        """Everything works again."""
        self._faults.clear()

    def fault_hits(self, number: int) -> int:
        """How often a fault has hit."""
        return self._faults.hits(number)

    def expire_tokens(self) -> int:
        """All tokens given out are good no longer; returns how many."""
        return identity.expire_all(self._azure)

    def runs(self) -> list[dict[str, Any]]:
        """All runs, oldest first."""
        with self._azure.changed:
            return [self._run(run.id) for run in self._azure.runs()]

    def run(self, run_id: str) -> dict[str, Any]:
        """One run with all its statuses, its request and its metrics."""
        with self._azure.changed:
            return self._run(run_id)

    def wait(self, run_id: str, statuses: list[str], seconds: float) -> str:
        """Waits until a run has one of the statuses; returns it. Raises TimeoutError."""
        end = time.monotonic() + seconds
        with self._azure.changed:
            while (run := self._azure.find_run(run_id)[1]).status not in statuses:
                if not self._azure.changed.wait(max(0.0, end - time.monotonic())) and time.monotonic() >= end:
                    raise TimeoutError(f"run {run_id} is {run.status} after {seconds} s, not {statuses}")
            return run.status

    def wait_for_log(self, run_id: str, text: str, seconds: float, name: str = "user_logs/std_log.txt") -> None:
        """Waits until a run has printed the text. Raises TimeoutError."""
        path = self._azure.run_folder(self._azure.find_run(run_id)[1]) / name
        end = time.monotonic() + seconds
        while not path.exists() or text not in path.read_text(errors="replace"):
            if time.monotonic() > end:
                raise TimeoutError(f"run {run_id} has not printed {text!r} after {seconds} s")
            time.sleep(0.01)

    def preempt(self, run_id: str, then: str = "requeue") -> None:
        """Takes a node away from a run, which is queued again (requeue) or fails (fail)."""
        nodes.preempt(self._azure, self._azure.find_run(run_id)[1], then)

    def vanish(self, run_id: str) -> None:
        """A run is known no longer."""
        nodes.vanish(self._azure, self._azure.find_run(run_id)[1])

    def cancel(self, run_id: str) -> None:
        """As if somebody had canceled the run in the studio."""
        execution.cancel(self._azure, self._azure.find_run(run_id)[1])

    def finish(self, run_id: str, status: str, code: str | None = None, message: str = "") -> None:
        """A run that does not run is in this status from now on."""
        run = self._azure.find_run(run_id)[1]
        self._azure.set_status(run, status, None if code is None else {"code": code, "message": message})

    def _run(self, run_id: str) -> dict[str, Any]:
        workspace, run = self._azure.find_run(run_id)
        more = {"statuses": run.statuses, "starts": run.starts, "metrics": run.metrics, "definition": run.definition}
        return {**run_document(workspace, run), "workspace": workspace.name, **more}

    def _workspace(self, name: str) -> Workspace:
        for workspace in self._azure.workspaces:
            if workspace.name == name:
                return workspace
        raise KeyError(f"no workspace {name!r}")


class ControlServer(ThreadingHTTPServer):
    """Listens for commands on a free port."""

    daemon_threads = True

    def __init__(self, commands: Commands) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.commands = commands

    def start(self) -> str:
        """Begins to listen; returns the address."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ControlServer

    def do_POST(self) -> None:
        """Does a command; a problem comes back as its words."""
        arguments = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            status, value = 200, getattr(self.server.commands, self.path.lstrip("/"))(**arguments)
        except (KeyError, ValueError, TypeError, AttributeError, TimeoutError) as error:
            status, value = 400, f"{type(error).__name__}: {error}"
        body = json.dumps(value, default=str).encode()
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """Answers as the endpoint of a node's identity does."""
        query = dict(parse_qsl(urlsplit(self.path).query))
        token = self.server.commands.identity_token(self.headers.get("secret"), query.get("clientid"))
        body = json.dumps(token or {"error": "no such identity"}).encode()
        self.send_response_only(200 if token else 400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Not of interest."""
