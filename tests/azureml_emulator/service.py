"""Answers requests: finds the route, checks the token, injects faults, writes the log."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from tests.azureml_emulator import (
    arm,
    arm_assets,
    arm_jobs,
    artifacts,
    assets,
    blobs,
    computes,
    credentials,
    execution,
    faults,
    history,
    identity,
    key_vault,
    metrics,
    models,
    snapshots,
)
from tests.azureml_emulator.messages import Dropped, Refusal, Request, Response, refuse
from tests.azureml_emulator.router import Call, Route, find
from tests.azureml_emulator.state import Azure
from tests.azureml_emulator.traffic import Traffic

_MODULES = (
    history,
    key_vault,
    execution,
    snapshots,
    metrics,
    credentials,
    artifacts,
    assets,
    models,
    blobs,
    identity,
    arm,
    arm_jobs,
    computes,
    arm_assets,  # the most general paths come last
)


class Service:
    """All services behind the proxy."""

    def __init__(self, azure: Azure, traffic: Traffic) -> None:
        self._azure, self._traffic = azure, traffic
        self._routes = list(_routes())
        self.faults = faults.Faults()

    def knows(self, host: str) -> str | None:
        """Returns the service of a host; None for a host that is not emulated."""
        if host in (identity.HOST, arm.HOST):
            return "login" if host == identity.HOST else "arm"
        if any(host == workspace.api.removeprefix("https://") for workspace in self._azure.workspaces):
            return "api"
        if any(host == workspace.account + blobs.SUFFIX for workspace in self._azure.workspaces):
            return "blob"
        if any(host == key_vault.host_of(workspace) for workspace in self._azure.workspaces):
            return "vault"
        return None

    def refuse_host(self, host: str, method: str, path: str) -> None:
        """Notes that somebody asked for another host."""
        self._traffic.refusal(host, method, path)

    def answer(self, request: Request) -> Response:
        """The answer. Raises Dropped where the connection is to be cut."""
        found = find(self._routes, self.knows(request.host) or "", request.method, request.path)
        operation = found[0].operation if found else "unknown"
        hit = self.faults.take(operation, request)
        response: Response | None = None
        beside = self._traffic.begin()
        try:
            time.sleep(self._azure.settings.latency)
            response = faults.before(self._azure, hit) or faults.after(hit, self._served(request, found))
            return response
        except Dropped:
            response = None
            raise
        finally:
            faulty = ", ".join(fault.kind for fault in hit) or None
            self._traffic.exchange(request, operation, faulty, response, beside)

    def _served(self, request: Request, found: tuple[Route, dict[str, str]] | None) -> Response:
        try:
            if found is None:
                raise faults.unknown(request)
            route, path = found
            principal = None if route.public else identity.check(self._azure, request)
            return route.handler(Call(self._azure, request, path, principal))
        except Refusal as refusal:
            return refuse(refusal)


def _routes() -> Iterator[Route]:
    """Every module's; within a module those come first that were written first."""
    for module in _MODULES:
        for name, value in vars(module).items():
            if re.fullmatch("[A-Z]+", name) and hasattr(value, "all"):
                yield from value.all
