"""Posts one request, within a limit of time however slowly its receiver answers. Redirects are not followed."""

from __future__ import annotations

import http.client
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from mitorch_service.early_answers import HttpConnection, HttpsConnection

_MOST_BYTES = 2048  # of an answer; the rest is not read
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Reply:
    """An HTTP answer: its status, its Retry-After, and the beginning of its body. Without a status none came, and
    `text` says why."""

    status: int | None
    text: str
    retry_after: str | None = None


def post(url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Reply:
    """Posts the body. Never raises, and returns within `seconds`, but for the time in which the operating system looks
    up a name."""
    request = urllib.request.Request(url, body, dict(headers), method="POST")  # noqa: S310 (http or https: checked by the settings)
    exchange = _Exchange(request, seconds)
    thread = threading.Thread(target=exchange.run, name="webhook", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        exchange.abandon()
    return exchange.reply


class _Exchange:
    """A request and its answer, in a thread of its own: the limit of time of a socket begins anew with each byte."""

    def __init__(self, request: urllib.request.Request, seconds: float) -> None:
        self._request = request
        self._seconds = seconds
        self._sockets: list[socket.socket] = []
        self._abandoned = False
        self.reply = Reply(None, f"no answer within {seconds:g} s")

    def run(self) -> None:
        try:
            with self._opener().open(self._request, timeout=self._seconds) as answer:
                self.reply = Reply(answer.status, "", answer.headers.get("Retry-After"))
                with suppress(OSError, http.client.HTTPException):  # the status says all that matters
                    text = answer.read(_MOST_BYTES).decode("utf-8", "replace")
                    self.reply = self.reply if self._abandoned else replace(self.reply, text=text)
        except urllib.error.URLError as error:
            self._fail(error.reason)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._fail(error)

    def abandon(self) -> None:
        """Ends the thread, wherever it waits; the reply is what came until now."""
        self._abandoned = True
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _fail(self, error: object) -> None:
        """Keeps the first words when time was over: the socket's limit is the same as that of `post`."""
        if self.reply.status is None and not self._abandoned and not isinstance(error, TimeoutError):
            self.reply = Reply(None, words(error))

    def _opener(self) -> urllib.request.OpenerDirector:
        local = urlsplit(self._request.full_url).hostname in _LOOPBACK
        proxies = [urllib.request.ProxyHandler({})] if local else []  # else those of the environment
        return urllib.request.build_opener(_Http(self._sockets), _Https(self._sockets), _AnyStatus(), *proxies)


def _recorded(kind: type[http.client.HTTPConnection], sockets: list[socket.socket]) -> Any:
    """A class of connections whose sockets are known: urllib keeps its connections to itself."""

    class Connection(kind):  # type: ignore[valid-type, misc]
        def connect(self) -> None:
            super().connect()
            sockets.append(self.sock)

    return Connection


class _Http(urllib.request.HTTPHandler):
    def __init__(self, sockets: list[socket.socket]) -> None:
        super().__init__()
        self._kind = _recorded(HttpConnection, sockets)

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._kind, request)


class _Https(urllib.request.HTTPSHandler):
    """With TLS, whose certificates are verified."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        super().__init__()
        self._kind = _recorded(HttpsConnection, sockets)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._kind, request)


class _AnyStatus(urllib.request.HTTPErrorProcessor):
    """Returns every answer as it is: no redirect is followed, no status is an exception."""

    def http_response(self, request: urllib.request.Request, response: Any) -> Any:
        return response

    https_response = http_response


def words(error: object) -> str:
    """Returns the problem in the words of the operating system, without numbers of errors."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
