"""Masking of credentials in whatever text is printed, logged or stored for people."""

from __future__ import annotations

import re

_PATTERNS = (
    # user:password@ of a database; the password may hold anything, though it should not, up to the last @
    (re.compile(r"(?P<keep>mongodb(?:\+srv)?://[^\s:/]*:)[^\s\"']+(?=@)", re.IGNORECASE), r"\g<keep>***"),
    # and of any other URI, where a path may hold an @: up to the last @ before / or space
    (re.compile(r"(?P<keep>[a-z][a-z0-9+.-]*://[^\s:/]*:)[^\s/\"']+(?=@)", re.IGNORECASE), r"\g<keep>***"),
    # the signature of a SAS token, and other secrets passed in a query string
    (re.compile(r"(?P<keep>[?&](?:code|token|access_token)=)[^&;\s\"']+", re.IGNORECASE), r"\g<keep>***"),
    # or in a connection string
    (
        re.compile(
            r"(?P<keep>(?:^|[?&;,\"'\s])(?:sig|password|pwd|AccountKey|SharedAccessKey)=)[^&;\s\"']+",
            re.IGNORECASE,
        ),
        r"\g<keep>***",
    ),
)


def mask_secrets(text: str) -> str:
    """`text` with passwords, SAS signatures and account keys replaced by ``***``."""
    if "://" not in text and "=" not in text:  # every pattern needs one of the two, and most texts have neither
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
