"""Links that open one page for reading, until they expire."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mitorch_service.viewer.access.token import is_same, sign

LONGEST = timedelta(days=90)
_KINDS = ("training", "job", "compare")
# Parameters of the pages that can be shared. They choose a part or a form of what is shown, and name no other document.
_PARAMETERS = frozenset(
    (
        *(
            "after",
            "attempt",
            "columns",
            "file",
            "format",
            "index",
            "limit",
            "lines",
            "log",
            "measures",
            "metric",
            "metrics",
        ),
        *("objective", "objectives", "offset", "parameter", "points", "raw", "scale", "size", "smooth", "sort"),
        *("tail", "theme", "v", "x", "y"),
    )
)
_SUBJECT = re.compile(r"(training|job)/[0-9a-f-]{36}|compare/[0-9a-f-]{36}(,[0-9a-f-]{36}){1,99}")


@dataclass(frozen=True)
class Share:
    """The page that a link opens (``training/ID``, ``job/ID``, ``compare/ID,ID``), and until when."""

    subject: str
    expires: int  # seconds since 1970

    def text(self, token: str) -> str:
        """Returns the part of the link that proves it."""
        return f"{self.subject.replace('/', '.')}.{self.expires}.{sign(token, 'share', self._signed())}"

    @property
    def page(self) -> str:
        """The address of the page on this server."""
        kind, _, ids = self.subject.partition("/")
        return f"/compare?ids={ids}" if kind == "compare" else f"/{kind}s/{ids}"

    def covers(self, path: str, query: Iterable[tuple[str, str]]) -> bool:
        """Whether an address is the page, or a part of its data. A parameter that could name anything else is none of
        the page's."""
        kind, _, ids = self.subject.partition("/")
        allowed = set(ids.split(","))
        named: set[str] = set()
        for name, value in query:
            if name == "ids":
                named |= set(value.split(","))
            elif name not in _PARAMETERS:
                return False
        if not named <= allowed:
            return False
        if path in ("/api/curves", "/api/events/curves") and kind != "job":
            return bool(named)
        if kind == "compare":
            return path in ("/compare", "/api/compare") and bool(named)
        parts = (f"/{kind}s/{ids}", f"/api/{kind}s/{ids}", f"/api/events/{kind}s/{ids}")
        return any(path == part or path.startswith(f"{part}/") for part in parts)

    def _signed(self) -> str:
        return f"{self.subject}\0{self.expires}"


def make_share(subject: str, lasts: timedelta, now: datetime) -> Share:
    """Makes a link's content. Raises ValueError for a subject that cannot be shared, or a time that is too long."""
    if not _SUBJECT.fullmatch(subject):
        raise ValueError(f"{subject!r} cannot be shared: name training/ID, job/ID or compare/ID,ID")
    if not timedelta(0) < lasts <= LONGEST:
        raise ValueError(f"a link lasts up to {LONGEST.days} days")
    return Share(subject, int((now + lasts).timestamp()))


def read_share(text: str, token: str, now: datetime) -> Share | None:
    """Returns what the text opens now; None if it is forged, damaged or has expired."""
    head, _, signature = text.rpartition(".")
    subject, _, expires = head.rpartition(".")
    kind, _, ids = subject.partition(".")
    if kind not in _KINDS or not re.fullmatch(r"[0-9]{1,12}", expires):
        return None
    share = Share(f"{kind}/{ids}", int(expires))
    if not is_same(sign(token, "share", share._signed()), signature) or not _SUBJECT.fullmatch(share.subject):
        return None
    return share if now.timestamp() < share.expires else None
