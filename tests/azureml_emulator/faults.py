"""Faults on command: which calls they hit, how often, and what goes wrong."""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from tests.azureml_emulator import identity
from tests.azureml_emulator.messages import Dropped, Refusal, Request, Response, error_document
from tests.azureml_emulator.state import Azure

KINDS = ("status", "drop_before", "drop_after", "delay", "expire", "merge", "replace")


@dataclass
class Fault:
    """Hits calls of an operation, or whose method and path fit; `skip` calls first, then `count` (None: all).

    status: answers so, with `body` (text is the message of an error), and has no effect.
    drop_before, drop_after: cuts the connection, without or with the effect.
    delay: waits `seconds`. expire: all tokens expire first.
    merge, replace: the effect is as ever, but of the answer the JSON is changed by `body`, or is `body`.
    """

    kind: str
    operation: str | None = None
    method: str | None = None
    path: str | None = None  # a regular expression, searched in host and path
    count: int | None = 1
    skip: int = 0
    status: int = 503
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    hits: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} of a fault is unknown: use one of {', '.join(KINDS)}")

    def fits(self, operation: str, request: Request) -> bool:
        """Whether it is meant for this call."""
        if self.operation is None and self.method is None and self.path is None:
            return True
        return (
            self.operation in (None, operation)
            and self.method in (None, request.method)
            and (self.path is None or re.search(self.path, request.host + request.path) is not None)
        )


class Faults:
    """All faults that were asked for."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, **fields: Any) -> int:
        """One more; returns its id."""
        with self._lock:
            number = next(self._ids)
            self._faults[number] = Fault(**fields)
            return number

    def clear(self) -> None:
        """Everything works again."""
        with self._lock:
            self._faults = {}

    def hits(self, number: int) -> int:
        """How often a fault has hit."""
        return self._faults[number].hits

    def take(self, operation: str, request: Request) -> list[Fault]:
        """The faults that hit this call; counts them."""
        with self._lock:
            return [fault for fault in self._faults.values() if fault.fits(operation, request) and _hits(fault)]


def before(azure: Azure, faults: list[Fault]) -> Response | None:
    """Applies faults before the effect; returns an answer if it replaces the service's. Raises Dropped."""
    for fault in faults:
        if fault.kind == "delay":
            time.sleep(fault.seconds)
        elif fault.kind == "expire":
            identity.expire_all(azure)
        elif fault.kind == "drop_before":
            raise Dropped
        elif fault.kind == "status":
            return _answer(fault)
    return None


def after(faults: list[Fault], response: Response) -> Response:
    """Applies faults after the effect. Raises Dropped."""
    for fault in faults:
        if fault.kind == "drop_after":
            raise Dropped
        if fault.kind == "replace":
            response.body = _bytes(fault.body)
        elif fault.kind == "merge":
            response.body = json.dumps(_merged(json.loads(response.body), fault.body)).encode()
    return response


def _hits(fault: Fault) -> bool:
    if fault.skip > 0:
        fault.skip -= 1
        return False
    if fault.count is not None and fault.hits >= fault.count:
        return False
    fault.hits += 1
    return True


def _answer(fault: Fault) -> Response:
    body = fault.body
    if body is None:
        body = error_document("ServiceError", f"Injected fault {fault.status}.")
    if isinstance(body, str):
        body = error_document("UserError", body)
    return Response(fault.status, _bytes(body), {"Content-Type": "application/json", **fault.headers})


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def _merged(value: Any, change: Any) -> Any:
    """RFC 7386, except that a list of changes is merged item by item."""
    if isinstance(change, dict) and isinstance(value, dict):
        kept = {name: part for name, part in value.items() if change.get(name, part) is not None}
        return kept | {name: _merged(value.get(name), part) for name, part in change.items() if part is not None}
    return change


def unknown(request: Request) -> Refusal:
    """The answer to a call that nobody here knows."""
    return Refusal(404, "NotEmulated", f"The emulator has no answer to {request.method} {request.host}{request.path}")
