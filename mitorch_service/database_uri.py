"""Checks a MongoDB URI before anything is asked of a server: what the driver would take without a word."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote_plus

from mitorch_service.errors import SettingsError

_VARIABLE = "MITORCH_DB_URI"
_FILES = ("tlscafile", "tlscertificatekeyfile", "tlscrlfile")


def checked_uri(uri: str, variable: str = _VARIABLE) -> str:
    """Returns the URI with absolute paths of its files, because runs have other working folders. Raises SettingsError;
    its text holds no value that may be secret."""
    scheme, _, rest = uri.partition("://")
    head, mark, options = rest.partition("?")
    if not _is_escaped(head, options):
        raise SettingsError(
            variable,
            "its user or password has a character with a meaning of its own in a URI",
            "Write : as %3A, / as %2F, ? as %3F, # as %23, @ as %40 and % as %25.",
        )
    return f"{scheme}://{head}{mark}{re.sub('[^&;]+', partial(_checked_option, variable), options)}"


def _is_escaped(head: str, options: str) -> bool:
    """Whether user and password end where they should. `head`: all before the options."""
    authority, _, path = head.partition("/")
    user, at, hosts = authority.rpartition("@")
    if "@" in path or "@" in user or user.count(":") > 1 or re.search("%(?![0-9a-fA-F]{2})", user):
        return False
    return bool(at) or "@" not in options or re.fullmatch(r"[^:]*:\D.*", hosts) is None


def _checked_option(variable: str, option: re.Match[str]) -> str:
    name, _, value = option[0].partition("=")
    if name.lower() == "w" and _is_below_one(unquote_plus(value)):
        problem = f"{name}={value}: the database would not say whether it has taken a write"
        raise SettingsError(variable, problem, "Leave it out, or write w=majority.")
    if name.lower() not in _FILES:
        return option[0]
    try:
        path = Path(unquote_plus(value)).expanduser().absolute()
    except RuntimeError:
        problem = f"{name}: {unquote_plus(value).partition('/')[0]} is no home folder of this machine"
        raise SettingsError(variable, problem, "Write the whole path.") from None
    if not (path.is_file() and os.access(path, os.R_OK)):
        problem = f"{name}: there is no file {path} that can be read"
        raise SettingsError(variable, problem, "Correct the path, or leave the option out.")
    return f"{name}={quote(str(path))}"


def _is_below_one(value: str) -> bool:
    """Whether the driver reads it as a number of servers that is none; other words name servers."""
    try:
        return int(value) < 1
    except ValueError:
        return False
