"""The page that asks: the name in the address, and the site that a browser says the request comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.requests import Request

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?)(?::[0-9]{1,5})?")


def knows_host(request: Request, hosts: Iterable[str]) -> bool:
    """Whether the address is one of ours (`*`: any name): another name that leads here (DNS rebinding) is a page of
    somebody else's. Of several, no, or malformed names none is known."""
    given = request.headers.getlist("host")
    found = _HOST.fullmatch(given[0].lower()) if len(given) == 1 else None
    known = tuple(hosts)
    return found is not None and ("*" in known or found[1] in known)


def is_same_site(request: Request) -> bool:
    """Whether a page of this server asks, or no page at all. Browsers send one of the two headers with every change."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2].lower() == request.headers.get("host", "").lower()
