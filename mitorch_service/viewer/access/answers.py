"""The answers of the gate itself: refusals, and the way on to a page of ours."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

_WORDS = {401: "Sign in", 403: "Refused", 404: "Not found", 408: "Too slow", 413: "Too long"}


def is_api(request: Request) -> bool:
    """Whether a program asks, which gets JSON."""
    path: str = request.scope["path"]
    return path == "/api" or path.startswith("/api/")


def wants_page(request: Request) -> bool:
    return not is_api(request) and "text/html" in request.headers.get("accept", "")


def refusal(request: Request, code: int, reason: str) -> Response:
    """An answer with the reason, which holds nothing of what was asked."""
    headers = {"www-authenticate": "Bearer"} if code == 401 else None
    if is_api(request):
        return JSONResponse({"error": f"{_WORDS[code]}: {reason}."}, code, headers)
    return Response(f"{_WORDS[code]}: {reason}.\n", code, headers, media_type="text/plain; charset=utf-8")


def local(path: str) -> str:
    """A path on this server: two slashes would begin another host, and browsers drop control characters."""
    return "/" + "".join(character for character in path if character.isprintable()).lstrip("/\\ ")


def send_on(request: Request, address: str) -> Response:
    """Leads to a page of ours. Browsers keep strict cookies back from a redirect that began on another site (a chat, a
    mail): there a page of ours asks for it."""
    redirect = RedirectResponse(local(address), 303)
    if request.headers.get("sec-fetch-site") != "cross-site":
        return redirect
    target = escape(redirect.headers["location"], quote=True)
    page = f'<!doctype html><meta http-equiv="refresh" content="0;url={target}"><a href="{target}">Go on</a>'
    return HTMLResponse(page)
