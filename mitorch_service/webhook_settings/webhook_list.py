"""Reads MITORCH_WEBHOOKS: where notifications are posted, and which of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from pydantic import SecretStr

from mitorch_service.errors import SettingsError
from mitorch_service.known_secrets import Secret, know, secrets_of_webhooks
from mitorch_service.setting_text import read_setting_file
from mitorch_service.webhook_settings.entry_checks import (
    REMEDY,
    SECRET_VARIABLE,
    VARIABLE,
    check_events,
    check_secret,
    check_types,
    check_url,
    split_url,
)
from mitorch_service.webhook_settings.webhook import GROUPS, Kind, Webhook

_HOSTS: tuple[tuple[Kind, str], ...] = (
    ("slack", r"hooks\.slack(-gov)?\.com"),
    ("teams", r".+\.(logic\.azure\.(com|us|cn)|powerplatform\.(com|us|cn)|powerautomate\.com|office\.com)"),
)


def read_webhooks(environ: Mapping[str, str]) -> tuple[Webhook, ...]:
    """Returns the webhooks of MITORCH_WEBHOOKS. Raises SettingsError, whose message repeats no address or secret."""
    text = (environ.get(VARIABLE) or "").strip()
    if not text:
        return ()
    entries = [_resolved(f"{number}.", entry, environ) for number, entry in enumerate(_entries(text))]
    hooks = tuple(_webhook(f"{number}.", entry, environ) for number, entry in enumerate(_named(entries)))
    names = [hook.name for hook in hooks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(VARIABLE, f"the name {twice[0]!r} is given twice", "Give each webhook its own name.")
    return hooks


def webhooks_text(webhooks: Sequence[Webhook]) -> str:
    """Returns a value of MITORCH_WEBHOOKS that needs no file and no other variable; it holds the secrets."""
    entries = [
        {
            "name": webhook.name,
            "kind": webhook.kind,
            "url": webhook.url.get_secret_value(),
            "events": webhook.events,
            "trials": webhook.trials,
            **({} if webhook.secret is None else {"secret": webhook.secret.get_secret_value()}),
        }
        for webhook in webhooks
    ]
    return json.dumps(entries, separators=(",", ":")) if entries else ""


def secret_variables(environ: Mapping[str, str]) -> list[str]:
    """Returns the variables that the setting names, which hold addresses and secrets."""
    text = (environ.get(VARIABLE) or "").strip()
    found = [entry.get(field) for entry in (_entries(text) if text else []) for field in ("url", "secret")]
    return [str(one["env"]) for one in found if isinstance(one, Mapping) and "env" in one]


def _entries(text: str) -> list[dict[str, object]]:
    """The entries as they were written; each address of a plain list becomes one."""
    if re.match(r"https?:", text, re.IGNORECASE):
        return [{"url": url} for url in text.split()]
    try:
        inline = text.startswith(("[", "{"))
        content = text if inline else read_setting_file(Path(text).expanduser())
        know(secrets_of_webhooks(content))
        data = json.loads(content)
    except OSError as error:
        raise SettingsError(VARIABLE, f"cannot read it as the path of a file: {error.strerror}", REMEDY) from None
    except (ValueError, RecursionError, RuntimeError) as error:
        problem = f"{error.msg} at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "not readable"
        raise SettingsError(VARIABLE, f"is not JSON ({problem})", REMEDY) from None
    if not isinstance(data, list):
        raise SettingsError(VARIABLE, "must be a list", REMEDY)
    for number, entry in enumerate(data):
        if not isinstance(entry, dict):
            raise SettingsError(VARIABLE, f"{number}: must be an object {{…}}", REMEDY)
    return data


def _resolved(where: str, entry: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, object]:
    """The entry with the values of the variables that it names."""
    return {name: _from_variable(f"{where}{name}", value, environ) for name, value in entry.items()}


def _named(entries: list[dict[str, object]]) -> list[dict[str, object]]:
    """Gives those without a kind that of their host, and those without a name their kind, with a number from the
    second on."""
    counts: dict[str, int] = {}
    named = []
    for number, entry in enumerate(entries):
        url = entry.get("url")
        kind: object = (
            entry["kind"] if "kind" in entry else _kind_of(f"{number}.url", url if isinstance(url, str) else "")
        )
        count = counts[str(kind)] = counts.get(str(kind), 0) + ("name" not in entry)
        default = f"{kind}-{count}" if count > 1 else kind
        named.append({"name": default, "kind": kind, **entry})
    return named


def _kind_of(where: str, url: str) -> Kind:
    host = split_url(where, url).hostname or ""
    return next((kind for kind, pattern in _HOSTS if re.fullmatch(pattern, host)), "json")


def _webhook(where: str, entry: Mapping[str, object], environ: Mapping[str, str]) -> Webhook:
    fields = dict(entry)
    if fields.get("kind") == "json" and "secret" not in fields and environ.get(SECRET_VARIABLE):
        fields["secret"] = environ[SECRET_VARIABLE]
    know(secrets_of_webhooks(str(fields.get("url", ""))))
    know([Secret(str(fields["secret"]))] if fields.get("secret") else ())
    check_types(where, fields)
    secret = fields.get("secret")
    hook = Webhook(
        name=str(fields["name"]),
        kind=cast(Kind, fields["kind"]),
        url=SecretStr(str(fields["url"])),
        events=tuple(cast(list[str], fields.get("events", GROUPS))),
        trials=fields.get("trials") is True,
        secret=None if secret is None else SecretStr(str(secret)),
    )
    check_url(f"{where}url", hook.url.get_secret_value())
    check_events(f"{where}events", hook.events)
    check_secret(f"{where}secret", hook)
    return hook


def _from_variable(where: str, value: object, environ: Mapping[str, str]) -> object:
    """The value of the variable that ``{"env": NAME}`` names; another value as it is."""
    if not isinstance(value, Mapping):
        return value
    name = value.get("env")
    if set(value) != {"env"} or not isinstance(name, str):
        raise SettingsError(VARIABLE, f"{where}: must be a text, or name one variable", 'Write {"env": "NAME"}.')
    if not environ.get(name):
        raise SettingsError(VARIABLE, f"{where}: the variable {name} is not set", f"Set {name}.")
    return environ[name]
