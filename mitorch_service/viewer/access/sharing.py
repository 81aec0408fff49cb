"""Links that open one page for reading, until they expire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from mitorch_service.viewer.access.token import is_same, sign

LONGEST = timedelta(days=90)
_KINDS = ("training", "job", "compare")
_SUBJECT = re.compile(r"(training|job)/[0-9a-f-]{36}|compare/[0-9a-f-]{36}(,[0-9a-f-]{36}){1,99}")


@dataclass(frozen=True)
class Share:
    """What a link opens (``training/ID``, ``job/ID``, ``compare/ID,ID``), and until when."""

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

    def covers(self, path: str, query_ids: str) -> bool:
        """Whether this address is the page, or a part of its data."""
        kind, _, ids = self.subject.partition("/")
        if kind == "compare":
            wanted = set(query_ids.split(",")) - {""}
            return path in ("/compare", "/api/compare", "/api/curves", "/api/events/curves") and wanted <= set(
                ids.split(",")
            )
        return any(path == page or path.startswith(f"{page}/") for page in (f"/{kind}s/{ids}", f"/api/{kind}s/{ids}"))

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
