"""Parses MITORCH_WEBHOOKS: where notifications are posted, and which of them.

Every command imports this, so it is no pydantic model, whose making takes longer than all the rest here.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from mitorch_service.errors import SettingsError
from mitorch_service.known_secrets import Secret, know, secrets_of_webhooks

VARIABLE = "MITORCH_WEBHOOKS"
SECRET_VARIABLE = "MITORCH_WEBHOOK_SECRET"
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
Kind = Literal["slack", "teams", "json"]
_HOSTS: tuple[tuple[Kind, str], ...] = (
    ("slack", r"hooks\.slack(-gov)?\.com"),
    ("teams", r".+\.(logic\.azure\.(com|us|cn)|powerplatform\.(com|us|cn)|powerautomate\.com|office\.com)"),
)
_LOOPBACK = r"localhost|127(\.\d+){3}|::1"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"


class EventKind(StrEnum):
    """What a notification reports. `job`, `training` and `cluster` stand for all that begin so."""

    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELED = "job.canceled"
    JOB_LIMIT = "job.limit"  # its budget (max_cost) is spent, or its time (max_time) over
    TRAINING_COMPLETED = "training.completed"
    TRAINING_FAILED = "training.failed"
    TRAINING_LOST = "training.lost"  # failed, because the infrastructure ended its last attempt
    TRAINING_DIVERGED = "training.diverged"
    CLUSTER_REFUSING = "cluster.refusing"  # it refuses trainings, or rests because its runs cannot write
    CLUSTER_LEAK = "cluster.leak"  # its nodes are busy without a training of ours
    TEST = "test"  # on request


SELECTABLE = tuple(kind.value for kind in EventKind if kind != EventKind.TEST)
GROUPS = tuple(dict.fromkeys(kind.partition(".")[0] for kind in SELECTABLE))


@dataclass(frozen=True)
class Webhook:
    """An address to which notifications are posted."""

    name: str
    kind: Kind
    url: SecretStr
    events: tuple[str, ...] = GROUPS
    trials: bool = False  # whether the trials of searches count among the trainings
    secret: SecretStr | None = None  # of the signature; of kind json only

    @property
    def host(self) -> str:
        """The host of the address, which is no secret."""
        return urlsplit(self.url.get_secret_value()).hostname or ""

    def wants(self, kind: EventKind, of_search: bool = False) -> bool:
        """Whether it gets notifications of this kind; `of_search`: of a trial or final training."""
        if kind == EventKind.TEST:
            return True
        if of_search and not self.trials:
            return False
        return kind.value in self.events or kind.value.partition(".")[0] in self.events

    def key(self) -> bytes:
        """Returns the key of the signature: what follows ``whsec_`` in base64, else the secret as it is."""
        text = "" if self.secret is None else self.secret.get_secret_value()
        return _key(text)


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
        content = text if inline else Path(text).expanduser().read_text("utf-8")
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
    host = _split(where, url).hostname or ""
    return next((kind for kind, pattern in _HOSTS if re.fullmatch(pattern, host)), "json")


def _webhook(where: str, entry: Mapping[str, object], environ: Mapping[str, str]) -> Webhook:
    fields = dict(entry)
    if fields.get("kind") == "json" and "secret" not in fields and environ.get(SECRET_VARIABLE):
        fields["secret"] = environ[SECRET_VARIABLE]
    know(secrets_of_webhooks(str(fields.get("url", ""))))
    know([Secret(str(fields["secret"]))] if fields.get("secret") else ())
    _check_types(where, fields)
    secret = fields.get("secret")
    hook = Webhook(
        name=str(fields["name"]),
        kind=cast(Kind, fields["kind"]),
        url=SecretStr(str(fields["url"])),
        events=tuple(cast(list[str], fields.get("events", GROUPS))),
        trials=fields.get("trials") is True,
        secret=None if secret is None else SecretStr(str(secret)),
    )
    _check_url(f"{where}url", hook.url.get_secret_value())
    _check_events(f"{where}events", hook.events)
    _check_secret(f"{where}secret", hook)
    return hook


def _check_types(where: str, fields: Mapping[str, object]) -> None:
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


def _split(where: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for one that is no number
        return parts
    except ValueError:
        raise SettingsError(VARIABLE, f"{where}: is no address", REMEDY) from None


def _check_url(where: str, url: str) -> None:
    parts = _split(where, url)
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable() or " " in url:
        raise SettingsError(VARIABLE, f"{where}: is no address that begins with https:// and names a host", REMEDY)
    if parts.scheme == "http" and not re.fullmatch(_LOOPBACK, host):
        raise SettingsError(VARIABLE, f"{where}: http:// would send to {host} unencrypted", "Use https://.")
    if parts.username is not None or parts.password is not None:
        raise SettingsError(VARIABLE, f"{where}: a user and password before the host are not sent", "Remove them.")
    if parts.fragment:
        raise SettingsError(VARIABLE, f"{where}: what follows # is never sent to a server", "Remove it.")


def _check_events(where: str, events: tuple[str, ...]) -> None:
    for event in events:
        if event not in SELECTABLE and event not in GROUPS:
            from mitorch_service.wording.suggestion import did_you_mean

            known = (*GROUPS, *SELECTABLE)
            problem = f"{where}: {event!r} is not known; {did_you_mean(event, known)}known: {', '.join(known)}"
            raise SettingsError(VARIABLE, problem, "Leave events out for all.")
    if not events:
        raise SettingsError(VARIABLE, f"{where}: is empty", "Name some, leave it out for all, or remove the webhook.")


def _check_secret(where: str, hook: Webhook) -> None:
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


def _key(secret: str) -> bytes:
    if secret.startswith("whsec_"):
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    return secret.encode()
