"""The gate before every request: who asks, from where, and whether that may be done."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from urllib.parse import urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mitorch_service.viewer.access.cookies import give_session, give_share, has_session, share_of
from mitorch_service.viewer.access.headers import SECURITY_HEADERS
from mitorch_service.viewer.access.sharing import read_share
from mitorch_service.viewer.access.token import is_same

_SAFE = ("GET", "HEAD", "OPTIONS")
_OPEN = ("/static/", "/favicon.ico", "/sign-in")  # nothing of the user's
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Policy:
    """What the server allows."""

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
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        answer = self._answer(request)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await (answer or self._app)(scope, receive, send_with_headers)

    def _answer(self, request: Request) -> Response | None:
        """The answer that stops a request here, or None for one that goes on; it is noted in the request's state who
        asks."""
        path = request.url.path
        if not self._knows_host(request):
            return _refusal(request, 403, "this server does not know the name in the address; see miviewer --host-name")
        if path.startswith(_OPEN):
            return None
        if path.startswith("/share/"):
            return self._open_share(request, path.removeprefix("/share/"))
        if (given := request.query_params.get("token")) is not None and request.method in _SAFE:
            return self._open_session(request, given)
        may_change = self._is_owner(request)
        request.state.may_change = may_change and not self._policy.read_only
        request.state.shared = False
        if not may_change:
            if request.method not in _SAFE or not self._is_shared(request):
                return self._sign_in(request) if _wants_page(request) else _refusal(request, 401, "a token is needed")
            request.state.shared = True
        if request.method not in _SAFE:
            if self._policy.read_only and path != "/sign-out":
                return _refusal(request, 403, "this server is read-only (miviewer --read-only)")
            if not is_same_site(request):
                return _refusal(request, 403, "the request comes from another site")
        return None

    def _knows_host(self, request: Request) -> bool:
        """Whether the address is one of ours: another name that leads here (DNS rebinding) is a page of somebody
        else's."""
        hosts = tuple(self._policy.hosts)
        name = re.sub(r":\d+$", "", request.headers.get("host", "")).lower()
        return "*" in hosts or name in hosts

    def _is_owner(self, request: Request) -> bool:
        token = self._policy.token
        if token is None:
            return True
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return is_same(given.strip(), token)
        return has_session(request, token)

    def _is_shared(self, request: Request) -> bool:
        token = self._policy.token
        if token is None:
            return False
        share = read_share(share_of(request), token, self._now())
        return share is not None and share.covers(request.url.path, request.query_params.get("ids", ""))

    def _open_session(self, request: Request, given: str) -> Response:
        token = self._policy.token
        if token is not None and not is_same(given, token):
            return self._sign_in(request)
        query = urlencode([(name, value) for name, value in request.query_params.multi_items() if name != "token"])
        answer = _send_on(request, f"{local(request.url.path)}{'?' + query if query else ''}")
        if token is not None:
            give_session(request, answer, token)
        return answer

    def _open_share(self, request: Request, text: str) -> Response:
        token = self._policy.token
        share = None if token is None else read_share(text, token, self._now())
        if share is None:
            return _refusal(request, 403, "this link has expired, or is no link of this server; ask for a new one")
        answer = _send_on(request, share.page)
        give_share(request, answer, text, share.expires - int(self._now().timestamp()))
        return answer


def _send_on(request: Request, address: str) -> Response:
    """Leads to a page of ours. Browsers keep strict cookies back from a redirect that began on another site (a chat, a
    mail): there a page of ours asks for it."""
    if request.headers.get("sec-fetch-site") != "cross-site":
        return RedirectResponse(address, 303)
    target = escape(address, quote=True)
    page = f'<!doctype html><meta http-equiv="refresh" content="0;url={target}"><a href="{target}">Go on</a>'
    return HTMLResponse(page)


def is_same_site(request: Request) -> bool:
    """Whether a page of this server asks, or no page at all. Browsers send one of the two headers with every change."""
    if request.headers.get("authorization"):
        return True
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2].lower() == request.headers.get("host", "").lower()


def _wants_page(request: Request) -> bool:
    return not request.url.path.startswith("/api") and "text/html" in request.headers.get("accept", "")


def local(path: str) -> str:
    """A path on this server: two slashes would begin another host."""
    return "/" + path.lstrip("/\\")


def _refusal(request: Request, code: int, reason: str) -> Response:
    message = {401: "Sign in", 403: "Refused"}[code]
    if request.url.path.startswith("/api"):
        return JSONResponse({"error": f"{message}: {reason}."}, code)
    return Response(f"{message}: {reason}.\n", code, media_type="text/plain; charset=utf-8")
