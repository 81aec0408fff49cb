"""MITORCH_WEBHOOKS as people type it, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mitorch_service.errors import SettingsError
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.settings import read_settings
from mitorch_service.webhook_settings.webhook import EventKind, Webhook
from tests.webhook_receiver import SECRET

TOKEN = "abcdefghijklmnopqrstuvwx"
SLACK = f"https://hooks.slack.com/services/T01/B02/{TOKEN}"
TEAMS = f"https://prod-1.westeurope.logic.azure.com:443/workflows/{TOKEN}/triggers?sp=%2Ft&sig=Sg-1_2"
JSON = "https://ops.example/hooks/mitorch"


def read(text: str, **environ: str) -> tuple[Webhook, ...]:
    return read_settings({"MITORCH_WEBHOOKS": text, "MITORCH_WEBHOOK_SECRET": SECRET, **environ}).webhooks


def problem(text: str, **environ: str) -> str:
    with pytest.raises(SettingsError) as error:
        read(text, **environ)
    return str(error.value)


def test_addresses_alone_are_enough() -> None:
    hooks = read(f"{SLACK} {TEAMS}\n{JSON} https://hooks.slack.com/services/other")
    assert [(hook.name, hook.kind, hook.host) for hook in hooks] == [
        ("slack", "slack", "hooks.slack.com"),
        ("teams", "teams", "prod-1.westeurope.logic.azure.com"),
        ("json", "json", "ops.example"),
        ("slack-2", "slack", "hooks.slack.com"),
    ]
    assert hooks[2].key() == b"012345678901234567890123"
    assert all(hook.wants(kind) for hook in hooks for kind in EventKind)
    assert not any(hook.wants(EventKind.TRAINING_FAILED, of_search=True) for hook in hooks)
    assert read("") == read("  ") == ()


def test_a_list_says_more(tmp_path: Path) -> None:
    entries = [
        {"name": "ops", "url": {"env": "OPS"}, "events": ["cluster", "training.lost"]},
        {"kind": "json", "url": JSON, "secret": "a secret of our own", "trials": True},
    ]
    path = tmp_path / "webhooks.json"
    path.write_text(json.dumps(entries), "utf-8")
    for text in (json.dumps(entries), str(path)):
        ops, own = read(text, OPS=SLACK)
        assert (ops.name, ops.kind, own.name, own.key()) == ("ops", "slack", "json", b"a secret of our own")
        assert ops.wants(EventKind.CLUSTER_LEAK) and ops.wants(EventKind.TRAINING_LOST) and ops.wants(EventKind.TEST)
        assert not ops.wants(EventKind.TRAINING_FAILED) and not ops.wants(EventKind.JOB_FAILED)
        assert own.wants(EventKind.TRAINING_FAILED, of_search=True)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "0.url: is required"),
        ({"url": 5}, '0.url: must be a text in "quotes"'),
        ({"url": "ftp://a.example/x"}, "0.url: is no address"),
        ({"url": "https://"}, "0.url: is no address"),
        ({"url": "https://a.example:x/"}, "0.url: is no address"),
        ({"url": "https://a.example/ä"}, "0.url: is no address"),
        ({"url": "http://a.example/x"}, "0.url: http:// would send to a.example unencrypted. Use https://."),
        ({"url": "https://me:pw@a.example/x"}, "0.url: a user and password before the host are not sent"),
        ({"url": "https://a.example/x#job"}, "0.url: what follows # is never sent"),
        ({"url": {"env": "NONE"}}, "0.url: the variable NONE is not set. Set NONE."),
        ({"url": {"file": "x"}}, "0.url: must be a text, or name one variable"),
        ({"url": SLACK, "kind": "mail"}, "0.kind: must be 'slack', 'teams' or 'json'"),
        ({"url": SLACK, "name": "a b"}, "0.name: must match the pattern"),
        ({"url": SLACK, "events": ["jobs"]}, "0.events: 'jobs' is not known; did you mean 'job'? known: job, "),
        ({"url": SLACK, "events": []}, "0.events: is empty"),
        ({"url": SLACK, "events": "job"}, "0.events: must be a list"),
        (
            {"url": SLACK, "event": ["job"]},
            "0.event: is an unknown key; known: events, kind, name, secret, trials, url",
        ),
        ({"url": SLACK, "secret": SECRET}, "0.secret: a webhook of kind slack is not signed"),
        ({"url": JSON, "secret": "short"}, "0.secret: is shorter than 16 bytes"),
        ({"url": JSON, "secret": "whsec_a b"}, "0.secret: what follows whsec_ is not base64"),
        ({"url": JSON, "secret": {"env": "NONE"}}, "0.secret: the variable NONE is not set"),
    ],
)
def test_what_is_wrong_is_named_with_the_remedy(entry: dict[str, object], said: str) -> None:
    text = problem(json.dumps([entry]))
    assert text.startswith(f"MITORCH_WEBHOOKS: {said}")
    assert TOKEN not in text and SECRET not in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"url": "x"}', "must be a list"),
        ('["x"]', "0: must be an object"),
        (f'[{{"url": "{SLACK}"', "is not JSON (Expecting ',' delimiter at line 1)"),
        ("/nowhere/webhooks.json", "cannot read it as the path of a file: No such file or directory"),
        (f'[{{"url": "{SLACK}", "name": "a"}}, {{"url": "{SLACK}", "name": "a"}}]', "the name 'a' is given twice"),
    ],
)
def test_a_setting_that_is_no_list_of_webhooks(text: str, said: str) -> None:
    message = problem(text)
    assert message.startswith(f"MITORCH_WEBHOOKS: {said}")
    assert TOKEN not in message


def test_a_json_webhook_needs_a_secret() -> None:
    assert "0.secret: a webhook of kind json is signed and needs one. Set MITORCH_WEBHOOK_SECRET" in problem(
        JSON, MITORCH_WEBHOOK_SECRET=""
    )


def test_addresses_and_secrets_are_masked_and_kept_from_scripts() -> None:
    given = json.dumps([{"url": {"env": "OPS"}, "kind": "json", "secret": {"env": "OPS_SECRET"}}, {"url": SLACK}])
    settings = read_settings({"MITORCH_WEBHOOKS": given, "OPS": JSON, "OPS_SECRET": "an unguessable one"})
    assert TOKEN not in repr(settings) and "unguessable" not in repr(settings)
    assert {"MITORCH_WEBHOOKS", "MITORCH_WEBHOOK_SECRET", "OPS", "OPS_SECRET"} <= set(settings.secret_variables)
    masked = mask_secrets(f"posting to {SLACK}; {JSON}; {TOKEN}; an unguessable one; /hooks/mitorch")
    assert masked == "posting to https://hooks.slack.com***; https://ops.example***; ***; ***; /hooks/mitorch"


def test_the_secrets_of_a_malformed_setting_are_masked() -> None:
    problem(f'[{{"url": "{SLACK}", "secret": "an unguessable one"')
    assert mask_secrets(f"{TOKEN} an unguessable one") == "*** ***"
