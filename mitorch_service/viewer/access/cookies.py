"""The cookies that stand for the token, or for a link that opens one page."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.responses import Response

from mitorch_service.viewer.access.token import is_same, sign

_SESSION_SECONDS = 30 * 86400


def give_session(request: HTTPConnection, answer: Response, token: str) -> None:
    """Gives the cookie that stands for the token, for 30 days."""
    _set(request, answer, _name(request), sign(token, "session", ""), _SESSION_SECONDS)


def has_session(request: HTTPConnection, token: str) -> bool:
    """Whether the request brings that cookie."""
    return is_same(request.cookies.get(_name(request), ""), sign(token, "session", ""))


def end_session(request: HTTPConnection, answer: Response) -> None:
    """Takes both cookies back."""
    for name in (_name(request), f"{_name(request)}_share"):
        answer.delete_cookie(name)


def give_share(request: HTTPConnection, answer: Response, text: str, seconds: int) -> None:
    """Gives the cookie that holds the text of a link."""
    _set(request, answer, f"{_name(request)}_share", text, seconds)


def share_of(request: HTTPConnection) -> str:
    """The text of the link, or nothing."""
    return request.cookies.get(f"{_name(request)}_share", "")


def _name(request: HTTPConnection) -> str:
    """A name for each port: browsers send a host's cookies to all of its ports."""
    return f"mitorch_viewer_{(request.scope.get('server') or ('', 0))[1]}"


def _set(request: HTTPConnection, answer: Response, name: str, value: str, seconds: int) -> None:
    secure = request.url.scheme == "https"
    answer.set_cookie(name, value, max_age=seconds, httponly=True, samesite="strict", secure=secure)
