"""Connections that read an answer which comes before the whole body is sent.

A server that refuses an upload answers and closes, without reading the body to its end: the client's next write fails
(EPIPE, ECONNRESET; it depends on the moment), and http.client raises that error though the answer is there to be read.
RFC 9112, section 9.5, wants it read.
"""

from __future__ import annotations

import http.client
import urllib.request
from contextlib import suppress
from typing import Any


class EarlyAnswers(http.client.HTTPConnection):
    """To be named before another kind of connection among the bases of a class."""

    def request(self, *arguments: Any, **named: Any) -> None:
        """Sends the request; getresponse tells what became of it when the server closes meanwhile: it returns the
        answer, or raises RemoteDisconnected or ConnectionResetError. Raises OSError where no connection comes about."""
        if self.sock is None:
            self.connect()  # whose errors are not those of a body
        with suppress(BrokenPipeError, ConnectionResetError):  # getresponse meets it again unless there is an answer
            super().request(*arguments, **named)


class HttpConnection(EarlyAnswers):
    """An unencrypted connection."""


class HttpsConnection(EarlyAnswers, http.client.HTTPSConnection):
    """A connection with TLS, whose certificates are verified."""


class HttpHandler(urllib.request.HTTPHandler):
    """urllib's, on connections that read early answers."""

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(HttpConnection, request)


class HttpsHandler(urllib.request.HTTPSHandler):
    """urllib's, on connections that read early answers."""

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(HttpsConnection, request)
