"""Maps requests to functions. A service's module holds its `Routes`; `service.py` knows all modules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from tests.azureml_emulator.messages import Refusal, Request, Response
from tests.azureml_emulator.state import Azure, Principal, Run, Workspace

_WORKSPACE = (
    "/subscriptions/{subscription}/resourceGroups/{group}"
    "/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
)


@dataclass(frozen=True)
class Call:
    """A request that has found its route, with the parts of its path that have names."""

    azure: Azure
    request: Request
    path: dict[str, str]
    principal: Principal | None = None

    def workspace(self) -> Workspace:
        """The workspace of the path; a refusal where it is unknown or not for this principal."""
        names = self.path["subscription"], self.path["group"], self.path["workspace"]
        found = self.azure.workspace(*names)
        if found is None:
            resource = f"Microsoft.MachineLearningServices/workspaces/{names[2]}"
            message = f"The Resource '{resource}' under resource group '{names[1]}' was not found."
            raise Refusal(404, "ResourceNotFound", message)
        if self.principal is not None and not self.principal.may_use(found):
            message = f"The client '{self.principal.id}' does not have authorization to perform the action."
            raise Refusal(403, "AuthorizationFailed", message)
        return found

    def run(self) -> Run:
        """The run of the path; a refusal where there is none, or where run history does not show it yet."""
        run = self.workspace().runs.get(self.path["run"])
        if run is None or (self.request.method == "GET" and not self.azure.in_history(run)):
            raise Refusal(404, "UserError", f"Run {self.path['run']} was not found.")
        return run


Handler = Callable[[Call], Response]


@dataclass(frozen=True)
class Route:
    """One operation. The service is login, arm, api or blob."""

    operation: str
    service: str
    method: str
    pattern: re.Pattern[str]
    handler: Handler
    public: bool  # answered without a token


class Routes:
    """The operations of one service's module."""

    def __init__(self, service: str, public: bool = False) -> None:
        self._service = service
        self._public = public
        self.all: list[Route] = []

    def add(self, operation: str, method: str, template: str) -> Callable[[Handler], Handler]:
        """Marks a function as the answer. In the template {WS} is the path of a workspace, {name} one part of a path,
        {name*} the rest of it."""

        def register(handler: Handler) -> Handler:
            route = Route(operation, self._service, method, _pattern(template), handler, self._public)
            self.all.append(route)
            return handler

        return register


def find(routes: Iterable[Route], service: str, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The first route that fits, with the named parts of the path."""
    path = re.sub("^/+", "/", path)  # the SDK joins ARM's address and the path with two slashes
    for route in routes:
        if route.service == service and route.method == method and (match := route.pattern.fullmatch(path)):
            return route, {name: unquote(value) for name, value in match.groupdict().items()}
    return None


def _pattern(template: str) -> re.Pattern[str]:
    """Azure ignores the case of paths."""
    parts = re.split(r"\{(\w+\*?)\}", template.replace("{WS}", _WORKSPACE))
    words = [re.escape(part) if index % 2 == 0 else _group(part) for index, part in enumerate(parts)]
    return re.compile("".join(words), re.IGNORECASE)


def _group(name: str) -> str:
    return f"(?P<{name[:-1]}>.+)" if name.endswith("*") else f"(?P<{name}>[^/]+?)"
