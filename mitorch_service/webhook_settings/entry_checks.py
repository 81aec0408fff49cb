"""Checks the entries of MITORCH_WEBHOOKS. No message repeats an address or a secret."""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from typing import get_args
from urllib.parse import SplitResult, urlsplit

from mitorch_service.errors import SettingsError
from mitorch_service.webhook_settings.webhook import GROUPS, SELECTABLE, Kind, Webhook

VARIABLE = "MITORCH_WEBHOOKS"
SECRET_VARIABLE = "MITORCH_WEBHOOK_SECRET"  # noqa: S105 (a variable's name)
REMEDY = (
    "Write the addresses, separated by spaces, or a JSON list such as "
    '[{"name": "ops", "kind": "slack", "url": "https://hooks.slack.com/services/…", "events": ["job", "cluster"]}], '
    "or a path to one."
)
_SECRET_REMEDY = (
    f'Set {SECRET_VARIABLE}, or "secret": {{"env": "NAME OF A VARIABLE"}} of the webhook: '
    '"whsec_" and 32 random bytes in base64 (openssl rand -base64 32).'
)
_LEAST_SECRET = 16  # bytes
_LOOPBACK = r"localhost|127(\.\d+){3}|::1"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"


def check_types(where: str, fields: Mapping[str, object]) -> None:
    """Raises SettingsError, which does not repeat the value: it may be secret."""
    for name, value in fields.items():
        problem = _type_problem(name, value)
        if problem is not None:
            raise SettingsError(VARIABLE, f"{where}{name}: {problem}", REMEDY)
    if "url" not in fields:
        raise SettingsError(VARIABLE, f"{where}url: is required", REMEDY)


def _type_problem(name: str, value: object) -> str | None:
    if name not in Webhook.__dataclass_fields__:
        return f"is an unknown key; known: {', '.join(sorted(Webhook.__dataclass_fields__))}"
    if name == "trials":
        return None if isinstance(value, bool) else "must be true or false"
    if name == "events":
        is_list = isinstance(value, list) and all(isinstance(one, str) for one in value)
        return None if is_list else "must be a list […] of texts"
    if not isinstance(value, str):
        return 'must be a text in "quotes"'
    if name == "kind" and value not in get_args(Kind):
        return "must be 'slack', 'teams' or 'json'"
    if name == "name" and not re.fullmatch(_NAME, value):
        return f"must match the pattern {_NAME}"
    return None


def split_url(where: str, url: str) -> SplitResult:
    """Returns the parts of an address. Raises SettingsError."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for one that is no number
        return parts
    except ValueError:
        raise SettingsError(VARIABLE, f"{where}: is no address", REMEDY) from None


def check_url(where: str, url: str) -> None:
    """Raises SettingsError for an address to which nothing can be posted, or not privately."""
    parts = split_url(where, url)
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable() or " " in url:
        raise SettingsError(VARIABLE, f"{where}: is no address that begins with https:// and names a host", REMEDY)
    if parts.scheme == "http" and not re.fullmatch(_LOOPBACK, host):
        raise SettingsError(VARIABLE, f"{where}: http:// would send to {host} unencrypted", "Use https://.")
    if parts.username is not None or parts.password is not None:
        raise SettingsError(VARIABLE, f"{where}: a user and password before the host are not sent", "Remove them.")
    if parts.fragment:
        raise SettingsError(VARIABLE, f"{where}: what follows # is never sent to a server", "Remove it.")


def check_events(where: str, events: tuple[str, ...]) -> None:
    """Raises SettingsError for unknown events, with the nearest known one."""
    for event in events:
        if event not in SELECTABLE and event not in GROUPS:
            from mitorch_service.wording.suggestion import did_you_mean

            known = (*GROUPS, *SELECTABLE)
            problem = f"{where}: {event!r} is not known; {did_you_mean(event, known)}known: {', '.join(known)}"
            raise SettingsError(VARIABLE, problem, "Leave events out for all.")
    if not events:
        raise SettingsError(VARIABLE, f"{where}: is empty", "Name some, leave it out for all, or remove the webhook.")


def check_secret(where: str, hook: Webhook) -> None:
    """Raises SettingsError for a missing, short or needless secret."""
    if hook.kind != "json":
        if hook.secret is not None:
            problem = f"{where}: a webhook of kind {hook.kind} is not signed, its address is its secret"
            raise SettingsError(VARIABLE, problem, "Remove it.")
        return
    if hook.secret is None:
        raise SettingsError(VARIABLE, f"{where}: a webhook of kind json is signed and needs one", _SECRET_REMEDY)
    try:
        key = hook.key()
    except (binascii.Error, ValueError):
        raise SettingsError(VARIABLE, f"{where}: what follows whsec_ is not base64", _SECRET_REMEDY) from None
    if len(key) < _LEAST_SECRET:
        raise SettingsError(VARIABLE, f"{where}: is shorter than {_LEAST_SECRET} bytes", _SECRET_REMEDY)
