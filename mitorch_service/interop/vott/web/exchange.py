"""Sends one request to an address that was checked, within a limit of time however slowly its server answers.

No proxy is used: behind one, nobody could say which address is connected to. Redirects of a GET are followed after the
same checks.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO

from mitorch_service.interop.vott.web.addresses import (
    AddressRefused,
    AllowedAddresses,
    IPAddress,
    Resolve,
    permitted_addresses,
    resolved,
)
from mitorch_service.interop.vott.web.pinned_connection import OpenConnections, PinnedConnection
from mitorch_service.interop.vott.web.web_address import BadAddress, WebAddress

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_CHUNK = 1 << 16
_MOST_TEXT = 2000  # bytes of an answer that is shown

Take = Callable[[bytes], object]


class Unavailable(Exception):
    """No answer came, or one that says to come back later; the same request may succeed then.

    `wait`: the seconds that the server asks to wait.
    """

    def __init__(self, problem: str, wait: str | None = None) -> None:
        self.wait = wait
        super().__init__(problem)


class Refused(Exception):
    """The server, or a rule of ours, refuses the request; repeating it would not help."""


@dataclass(frozen=True)
class Answer:
    """The answer to a request, but for its content."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    address: WebAddress  # after redirects
    text: str = ""  # the beginning of the content of a POST's or PUT's answer


@dataclass(frozen=True)
class Web:
    """Requests to addresses that other people wrote."""

    allowed: AllowedAddresses
    resolve: Resolve = resolved
    clock: Callable[[], float] = time.monotonic
    _open: OpenConnections = field(default_factory=OpenConnections, repr=False)

    def end(self) -> None:
        """Ends the requests that are under way, and all later ones: they raise Unavailable. For another thread."""
        self._open.end()

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """Verifies certificates; SSL_CERT_FILE names further authorities, as for every program with OpenSSL."""
        return ssl.create_default_context()

    def check(self, address: WebAddress, https: bool) -> list[IPAddress]:
        """Looks up the host; returns where to connect. `https`: unencrypted only to a network that was allowed by name.
        Raises Refused, Unavailable."""
        try:
            permitted = permitted_addresses(address.host, address.port, self.allowed, self.resolve)
        except AddressRefused as error:
            raise Refused(f"{address}: {error}") from error
        except OSError as error:
            raise Unavailable(f"{address}: the name {address.host} cannot be found ({_words(error)})") from error
        if https and address.scheme != "https" and not all(map(self.allowed.is_named, permitted)):
            raise Refused(f"{address}: must begin with https://, as its query would be sent unencrypted")
        return permitted

    def get(
        self,
        address: WebAddress,
        take: Take,
        *,
        seconds: float,
        most_bytes: int,
        headers: Mapping[str, str] | None = None,
        https: bool = False,
    ) -> Answer:
        """Gives the content to `take`, piece by piece, unless the status is 304. Raises Unavailable or Refused, whose
        text names the address without its query; `take` may have had a part by then."""
        end = self.clock() + seconds
        for _ in range(_MOST_REDIRECTS + 1):
            with self._request("GET", address, None, 0, headers or {}, end, https) as answer:
                location = answer.headers.get("Location")
                if answer.status in _REDIRECTS and location:
                    address = self._redirected(address, location)
                    continue
                self._check_status(address, answer)
                if answer.status == 200:
                    self._take_all(address, answer, take, most_bytes, end)
                return Answer(answer.status, _lower(answer), address)
        raise Refused(f"{address}: more than {_MOST_REDIRECTS} redirects")

    def send(
        self,
        method: str,
        address: WebAddress,
        body: bytes | IO[bytes],
        size: int,
        *,
        seconds: float,
        headers: Mapping[str, str],
    ) -> Answer:
        """Sends a body of `size` bytes, over https but to networks that were allowed by name. Redirects are not
        followed. Raises Unavailable, Refused."""
        end = self.clock() + seconds
        with self._request(method, address, body, size, headers, end, True) as answer:
            with self._told(address, end):
                text = answer.read(_MOST_TEXT).decode("utf-8", "replace")
            if answer.status in _REDIRECTS:
                raise Refused(f"{address}: answers with a redirect ({answer.status}), which is not followed")
            self._check_status(address, answer, text)
            return Answer(answer.status, _lower(answer), address, text)

    @contextmanager
    def _request(
        self,
        method: str,
        address: WebAddress,
        body: bytes | IO[bytes] | None,
        size: int,
        headers: Mapping[str, str],
        end: float,
        https: bool,
    ) -> Iterator[http.client.HTTPResponse]:
        permitted = self.check(address, https)
        left = max(0.1, end - self.clock())
        connection = PinnedConnection(address, permitted, self.tls if address.scheme == "https" else None, left)
        if not self._open.add(connection):
            raise Unavailable(f"{address}: not asked, because this program ends")
        watch = threading.Timer(left, connection.abandon)
        watch.daemon = True
        watch.start()
        try:
            sent = {"Host": address.authority, "User-Agent": "mitorch-service", "Connection": "close", **headers}
            if body is not None:
                sent["Content-Length"] = str(size)
            with self._told(address, end):
                connection.request(method, address.target, body, sent)
                answer = connection.getresponse()
            with answer:  # else an answer that is not read to its end keeps the connection open
                yield answer
        finally:
            watch.cancel()
            self._open.remove(connection)
            connection.close()

    @contextmanager
    def _told(self, address: WebAddress, end: float) -> Iterator[None]:
        """Turns the errors of a connection into Unavailable; those of what is done with an answer are not its."""
        try:
            yield
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = self.clock() >= end - 0.05 or isinstance(error, TimeoutError)
            raise Unavailable(f"{address}: {'no answer in time' if late else _words(error)}") from error
        if self._open.ended:  # what was read may be a part
            raise Unavailable(f"{address}: given up, because this program ends")

    @staticmethod
    def _redirected(address: WebAddress, location: str) -> WebAddress:
        try:
            following = address.following(location)
        except BadAddress as error:
            raise Refused(f"{address}: redirects to something that {error}") from error
        if address.scheme == "https" and following.scheme != "https":
            raise Refused(f"{address}: redirects from https to http ({following})")
        return following

    @staticmethod
    def _check_status(address: WebAddress, answer: http.client.HTTPResponse, text: str = "") -> None:
        if answer.status < 300 or answer.status == 304:
            return
        shown = " ".join(text.split())[:200]
        problem = f"{address}: HTTP {answer.status} {answer.reason or ''}".rstrip() + (f" ({shown})" if shown else "")
        if answer.status >= 500 or answer.status in (408, 425, 429):
            raise Unavailable(problem, answer.headers.get("Retry-After"))
        raise Refused(problem)

    def _take_all(
        self, address: WebAddress, answer: http.client.HTTPResponse, take: Take, most_bytes: int, end: float
    ) -> None:
        announced = answer.length
        too_large = f"{address}: is larger than {most_bytes:,} bytes"
        if announced is not None and announced > most_bytes:
            raise Refused(too_large)
        size = 0
        while piece := self._piece(address, answer, end):
            size += len(piece)
            if size > most_bytes:
                raise Refused(too_large)
            if self.clock() >= end:
                raise Unavailable(f"{address}: not complete in time")
            take(piece)
        if self.clock() >= end:  # what ended it may have been our own clock
            raise Unavailable(f"{address}: not complete in time")
        if announced is not None and size < announced:
            raise Unavailable(f"{address}: ended after {size} of {announced} bytes")

    def _piece(self, address: WebAddress, answer: http.client.HTTPResponse, end: float) -> bytes:
        with self._told(address, end):
            return answer.read1(_CHUNK)


def _lower(answer: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


def _words(error: BaseException) -> str:
    """The problem in the words of the operating system."""
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
