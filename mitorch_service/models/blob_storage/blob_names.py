"""Rules for the names of blobs in Azure Blob Storage. Pure."""

from __future__ import annotations

import unicodedata

_LONGEST = 1024  # characters
_MOST_PARTS = 254


def blob_name_problem(name: str) -> str | None:
    """Returns why no blob can be stored under this name, or only under another one; None if one can.

    By learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata, which
    requires the length and number of parts, refuses control characters, and warns of parts that end with a dot; Azure
    turns a backslash into a slash. A part of dots only is removed on the way by whatever sends the request.
    """
    if not name:
        return "is empty"
    if len(name) > _LONGEST:
        return f"has {len(name)} characters; at most {_LONGEST} are possible"
    if name.count("/") >= _MOST_PARTS:
        return f"has {name.count('/') + 1} parts; at most {_MOST_PARTS} are possible"
    if not can_be_asked_for(name):
        return "has a control character, or no valid Unicode"
    if "\\" in name:
        return "has a backslash, which Azure takes for a slash"
    if any(part.endswith(".") for part in name.split("/")):
        return "has a part that ends with a dot, which Azure removes"
    return None


def can_be_asked_for(name: str) -> bool:
    """Whether an address may name it: without control characters, and with nothing that is no Unicode."""
    return not any(unicodedata.category(one) in ("Cc", "Cs") or one in "\ufffe\uffff" for one in name)
