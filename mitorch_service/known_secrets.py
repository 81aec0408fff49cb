"""The secrets in the settings of this process: masking by value, where their shape does not betray them.

It lies below the settings, which find the values, and the models, which mask texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, unquote, unquote_plus

_PLAIN = 8  # characters: a shorter one of letters and digits may be a word; it is masked in its context only
_ODD = 4  # characters of one that has others in it
_SECRET_NAME = re.compile(r"pass(word|phrase|wd)?$|secret|token|^sig$|(account|access)key$|signature$", re.IGNORECASE)
_ADDRESS = re.compile(r"(?P<host>https?://[^/\s\"'?#]+)(?P<rest>[/?][^\s\"']*)", re.IGNORECASE)
_RANDOM = 16  # characters of a part of an address from which on it is a secret by itself
_VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_SERVICE_BUS_ACCESS_KEY_VALUE",
    "AZURE_CLIENT_SECRET",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "MITORCH_VIEWER_TOKEN",
    "MONGODB_PASSWORD",
)


@dataclass(frozen=True)
class Secret:
    """A value, and the texts around it in the setting where it stands."""

    value: str
    before: str = ""
    after: str = ""
    in_context: bool = False  # whether it is masked between these texts only


class _Known:
    """The texts to replace, longest first. One assignment replaces all, so that threads need no lock."""

    texts: tuple[tuple[str, str], ...] = ()


def know_only(secrets: Iterable[Secret]) -> None:
    """Replaces what is known."""
    _Known.texts = ()
    know(secrets)


def know(secrets: Iterable[Secret]) -> None:
    """Adds to what is known."""
    texts = dict(_Known.texts)
    for secret in secrets:
        texts.update(_texts(secret))
    _Known.texts = tuple(sorted(texts.items(), key=lambda text: -len(text[0])))


def mask_known(text: str) -> str:
    """Replaces each known secret by ``***``, in each form in which libraries print it."""
    for secret, masked in _Known.texts:
        if secret in text:
            text = text.replace(secret, masked)
    return text


def secrets_of_environment(environ: Mapping[str, str]) -> Iterator[Secret]:
    """The secrets in variables that are ours, or that the drivers read."""
    yield from secrets_of_url(environ.get("MITORCH_DB_URI") or "")
    yield from secrets_of_url(environ.get("MITORCH_OBDB_URI") or "")
    yield from secrets_of_url(environ.get("MITORCH_STORAGE_URL") or "")
    yield from secrets_of_url(environ.get("AZURE_STORAGE_CONNECTION_STRING") or "")
    yield from secrets_of_credential(environ.get("MITORCH_AML_AUTH") or "")
    yield from _secrets_of_login(environ.get("MITORCH_CVAT_AUTH") or "")
    yield from secrets_of_webhooks(environ.get("MITORCH_WEBHOOKS") or "")
    yield from (Secret(secret) for secret in [environ.get("MITORCH_WEBHOOK_SECRET")] if secret)
    yield from (Secret(environ[name]) for name in _VARIABLES if environ.get(name))


def secrets_of_credential(auth: str) -> Iterator[Secret]:
    """The password of USER:PASSWORD or TENANT:ID:PASSWORD, whichever of them it is."""
    for part in (auth.partition(":")[2], auth.partition(":")[2].partition(":")[2]):
        if part:
            yield Secret(part, ":")


def _secrets_of_login(auth: str) -> Iterator[Secret]:
    """The password of USER:PASSWORD, or the whole of an access token."""
    user, colon, password = auth.partition(":")
    if secret := password if colon else user:
        yield Secret(secret)


def secrets_of_webhooks(text: str) -> Iterator[Secret]:
    """The addresses in the setting of webhooks, which are secrets from their path on, and the secrets of signatures,
    even if it is malformed."""
    for address in _ADDRESS.finditer(text):
        yield Secret(address["rest"], address["host"], in_context=True)
        yield from (Secret(part) for part in re.split("[/?&=]", address["rest"]) if len(part) >= _RANDOM)
    for secret in re.findall(r'"secret"\s*:\s*("(?:[^"\\]|\\.)+")', text):
        yield Secret(secret[1:-1])


def secrets_of_url(url: str) -> Iterator[Secret]:
    """The secrets of a database's or container's URL, or of a connection string, even if it is malformed."""
    scheme, mark, rest = url.partition("://")
    if not mark or "=" in scheme:
        yield from _secrets_of_options(url, ";")
        return
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    head = rest.partition("?")[0]
    for part in dict.fromkeys([authority, head, rest]):
        password = part.rpartition("@")[0].partition(":")[2]
        if password:
            yield Secret(password, ":", "@")
    yield from _secrets_of_options(rest.partition("?")[2], "&;")


def _secrets_of_options(options: str, separators: str) -> Iterator[Secret]:
    for option in re.split(f"[{separators}]", options):
        name, _, value = option.partition("=")
        if name.strip().lower() == "authmechanismproperties":
            for entry in value.split(","):
                key, *part = re.split(":|%3A", entry, maxsplit=1, flags=re.IGNORECASE)
                if part and part[0] and _SECRET_NAME.search(key):
                    yield Secret(part[0], f"{key}:")
        elif value and _SECRET_NAME.search(name.strip()):
            yield Secret(value, f"{name}=")
            if name.strip().lower() == "sharedaccesssignature":
                yield from _secrets_of_options(value.lstrip("?"), "&")


def _texts(secret: Secret) -> Iterator[tuple[str, str]]:
    for value in (secret.value, unquote(secret.value), unquote_plus(secret.value)):
        everywhere = len(value) >= _PLAIN or (len(value) >= _ODD and not value.isalnum())
        everywhere = everywhere and not secret.in_context
        for form in _forms(value):
            if everywhere and form.strip(" *"):
                yield form, "***"
            elif form and (secret.before or secret.after):
                yield f"{secret.before}{form}{secret.after}", f"{secret.before}***{secret.after}"


def _forms(value: str) -> Iterator[str]:
    """The value as libraries print it: escaped for a URL, for JSON, for Python, or on one line."""
    yield value
    yield quote(value, safe="", errors="replace")
    yield quote_plus(value, errors="replace")
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield " ".join(value.split())
