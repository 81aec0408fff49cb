"""URLs of files in blob storage, and the SAS tokens after their question marks."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs


def is_url(path: str) -> bool:
    """Whether the path is a URL, as opposed to a file of this machine."""
    return path[:8].lower().startswith(("http://", "https://"))


def is_folder_url(path: str) -> bool:
    """Whether it is the URL of a folder in blob storage, which ends in a slash."""
    return is_url(path) and without_sas(path).endswith("/")


def without_sas(url: str) -> str:
    """Returns the URL without its query, so that it can be shown and stored."""
    return url.partition("?")[0]


def sas_of(url: str) -> str:
    """Returns the SAS token, which is the URL's query; empty if there is none."""
    return url.partition("?")[2]


def sas_expiry(sas: str) -> datetime | None:
    """Returns the token's expiry (its ``se``); None if it has none or it is not a date."""
    values = parse_qs(sas).get("se")
    try:
        end = datetime.fromisoformat(values[0]) if values else None
    except ValueError:
        return None
    return end.replace(tzinfo=UTC) if end is not None and end.tzinfo is None else end
