"""The gate before every request: who asks, from where, and whether that may be done."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode

import anyio
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mitorch_service.viewer.access.answers import is_api, local, refusal, send_on, wants_page
from mitorch_service.viewer.access.bodies import BodyRefused, read_body
from mitorch_service.viewer.access.cookies import give_session, give_share, has_session, share_of
from mitorch_service.viewer.access.headers import KEPT, SECURITY_HEADERS
from mitorch_service.viewer.access.origins import LOOPBACK_HOSTS, is_same_site, knows_host
from mitorch_service.viewer.access.sharing import read_share
from mitorch_service.viewer.access.token import is_same

__all__ = ["LOOPBACK_HOSTS", "Gate", "Policy", "is_api", "is_same_site", "local"]

_SAFE = ("GET", "HEAD", "OPTIONS")
_OPEN = ("/favicon.ico", "/sign-in")  # nothing of the user's; and what is below /static/
# A path that two readers could take for different ones: steps up or on the spot, empty ones, control characters.
_ODD_PATH = re.compile(r"[\x00-\x1f\x7f\\]|//|/\.{1,2}(/|$)")


@dataclass(frozen=True)
class Policy:
    """The rules of a server."""

    token: str | None  # None: everyone who reaches it; loopback only
    read_only: bool = False
    hosts: Iterable[str] = field(default=LOOPBACK_HOSTS)  # names by which it may be called; `*`: any


class Gate:
    """ASGI middleware. Whoever has not shown the token (link, form, cookie or `Authorization: Bearer`) or a link that
    covers the page gets 401; a change from another site, or on a read-only server, 403."""

    def __init__(
        self, app: ASGIApp, policy: Policy, now: Callable[[], datetime], sign_in: Callable[[Request], Response]
    ) -> None:
        self._app = app
        self._policy = policy
        self._now = now
        self._sign_in = sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # there are no websockets: the connection is closed
        request = Request(scope, receive)
        answer = self._answer(request)
        if answer is None and (expires := getattr(request.state, "expires", None)) is not None:
            receive = self._until(expires, receive)
        if answer is None and request.method not in _SAFE:
            try:
                receive = await read_body(request, receive)
            except BodyRefused as error:
                answer = refusal(request, error.code, error.reason)
                answer.headers["connection"] = "close"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", KEPT if _is_kept(request, message) else "no-store")
            await send(message)

        await (answer or self._app)(scope, receive, send_with_headers)

    def _until(self, expires: int, receive: Receive) -> Receive:
        """Passes on the client's messages until its link expires: then it counts as gone, which ends a stream."""

        async def receive_until() -> Message:
            left = expires - self._now().timestamp()
            if left <= 0:
                return {"type": "http.disconnect"}
            with anyio.move_on_after(left):
                return await receive()
            return {"type": "http.disconnect"}

        return receive_until

    def _answer(self, request: Request) -> Response | None:
        """The answer that stops a request here, or None for one that goes on; it is noted in the request's state who
        asks."""
        path: str = request.scope["path"]  # that the routes go by
        if not knows_host(request, self._policy.hosts):
            return refusal(request, 403, "this server does not know the name in the address; see miviewer --host-name")
        if _ODD_PATH.search(path):
            return refusal(request, 404, "no page has such an address")
        if path in _OPEN or path.startswith("/static/"):
            return None
        if path.startswith("/share/"):
            return self._open_share(request, path.removeprefix("/share/"))
        if (given := request.query_params.get("token")) is not None and request.method in _SAFE:
            return self._open_session(request, given)
        return self._answer_caller(request, path)

    def _answer_caller(self, request: Request, path: str) -> Response | None:
        by_token, is_owner = self._who(request)
        request.state.may_change = is_owner and not self._policy.read_only
        request.state.shared = not is_owner
        if not is_owner and (request.method not in _SAFE or not self._is_shared(request, path)):
            return self._sign_in(request) if wants_page(request) else refusal(request, 401, "a token is needed")
        if request.method in _SAFE:
            return None
        if self._policy.read_only and path != "/sign-out":
            return refusal(request, 403, "this server is read-only (miviewer --read-only)")
        if not by_token and not is_same_site(request):  # no page of another site can send the header with the token
            return refusal(request, 403, "the request comes from another site")
        return None

    def _who(self, request: Request) -> tuple[bool, bool]:
        """Whether the request itself brings the token, and whether it is of somebody who has it."""
        token = self._policy.token
        if token is None:
            return False, True
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            right = is_same(given.strip(), token)
            return right, right
        return False, has_session(request, token)

    def _is_shared(self, request: Request, path: str) -> bool:
        token = self._policy.token
        if token is None:
            return False
        share = read_share(share_of(request), token, self._now())
        if share is None or not share.covers(path, request.query_params.multi_items()):
            return False
        request.state.expires = share.expires
        return True

    def _open_session(self, request: Request, given: str) -> Response:
        token = self._policy.token
        if token is not None and not is_same(given, token):
            return self._sign_in(request) if wants_page(request) else refusal(request, 401, "the token is wrong")
        query = urlencode([(name, value) for name, value in request.query_params.multi_items() if name != "token"])
        answer = send_on(request, f"{request.scope['path']}{'?' + query if query else ''}")
        if token is not None:
            give_session(request, answer, token)
        return answer

    def _open_share(self, request: Request, text: str) -> Response:
        token = self._policy.token
        share = None if token is None else read_share(text, token, self._now())
        if share is None:
            return refusal(request, 403, "this link has expired, or is no link of this server; ask for a new one")
        answer = send_on(request, share.page)
        give_share(request, answer, text, share.expires - int(self._now().timestamp()))
        return answer


def _is_kept(request: Request, message: Message) -> bool:
    """Whether it is a file of ours whose address changes with its content."""
    path: str = request.scope["path"]
    return path.startswith("/static/") and message["status"] == 200 and b"v=" in request.scope["query_string"]
