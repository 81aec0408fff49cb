"""URLs of files in blob storage, and the SAS tokens that stand behind their question marks."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs


def is_url(path: str) -> bool:
    """Whether it names something on the network, not a file of this machine."""
    return path[:8].lower().startswith(("http://", "https://"))


def without_sas(url: str) -> str:
    """The URL as it may be shown and stored: nothing from the ``?`` on."""
    return url.partition("?")[0]


def sas_of(url: str) -> str:
    """What follows the ``?``: the SAS token; empty where there is none."""
    return url.partition("?")[2]


def sas_expiry(sas: str) -> datetime | None:
    """When the token ends (its ``se``); None where it does not say, or has no such date."""
    values = parse_qs(sas).get("se")
    try:
        end = datetime.fromisoformat(values[0]) if values else None
    except ValueError:
        return None
    return end.replace(tzinfo=UTC) if end is not None and end.tzinfo is None else end
