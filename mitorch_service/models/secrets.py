"""Masks credentials in text that is printed, logged or stored for people."""

from __future__ import annotations

import re

from mitorch_service.known_secrets import mask_known

_PATTERNS = (
    # user:password@ of a database; the password may contain anything up to the last @, although it should not
    (re.compile(r"(?P<keep>mongodb(?:\+srv)?://[^\s:/]*:)[^\s\"']+(?=@)", re.IGNORECASE), r"\g<keep>***"),
    # and of any other URI, whose path may contain an @: up to the last @ before / or space
    (re.compile(r"(?P<keep>[a-z][a-z0-9+.-]*://[^\s:/]*:)[^\s/\"']+(?=@)", re.IGNORECASE), r"\g<keep>***"),
    # the signature of a SAS token, and other secrets in a query string
    (re.compile(r"(?P<keep>[?&](?:code|token|access_token)=)[^&;\s\"']+", re.IGNORECASE), r"\g<keep>***"),
    # the properties of a database's authentication
    (
        re.compile(r"(?P<keep>\w*_(?:SESSION_TOKEN|SECRET_ACCESS_KEY)(?::|%3A))[^,&;\s\"']+", re.IGNORECASE),
        r"\g<keep>***",
    ),
    # secrets in a connection string
    (
        re.compile(
            r"(?P<keep>(?:^|[?&;,\"'\s])"
            r"(?:sig|pwd|\w*password|\w*passphrase|AccountKey|SharedAccessKey|\w*_SECRET_\w*KEY|\w*_SESSION_TOKEN"
            r"|X-Amz-Signature|X-Amz-Security-Token)=)"
            r"[^&;\s\"']+",
            re.IGNORECASE,
        ),
        r"\g<keep>***",
    ),
)


def mask_secrets(text: str) -> str:
    """Replaces passwords, SAS signatures and account keys in the text by ``***``: those of the settings wherever they
    stand, others where they look like one."""
    text = mask_known(text)
    if "://" not in text and "=" not in text:  # all patterns need one of these, and most texts have neither
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
