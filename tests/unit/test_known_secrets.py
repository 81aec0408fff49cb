"""Secrets of the settings are masked by their values, whatever they look like and whoever prints them."""

from __future__ import annotations

import io
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mitorch_service.cli.views.pages.output import show_fields, show_json, show_table, stream_json
from mitorch_service.controller.event_log import EventLog
from mitorch_service.errors import MiTorchError
from mitorch_service.known_secrets import Secret, know_only
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.runs.attempt_end import logged_error
from mitorch_service.settings import read_settings
from mitorch_service.stores.mongo.store import MongoStore

ODD = " '\"`@:/?#[]%&;=+,\\{}()<>|$!*~^-_.äß€"
SECRETS = st.text("abcXYZ019" + ODD, min_size=8, max_size=24).filter(
    lambda text: text == text.strip() and len(set(text) - set(" *")) > 3 and "***" not in text
)


def variables(secret: str) -> dict[str, dict[str, str]]:
    """A setting of each kind with the secret in it, escaped as it should be."""
    escaped = quote(secret, safe="")
    options = {
        "tlsCertificateKeyFilePassword": escaped,
        "proxyPassword": escaped,
        "authMechanismProperties": f"AWS_SESSION_TOKEN:{escaped}",
    }
    uris = {name: f"mongodb://127.0.0.1:1/?{name}={value}" for name, value in options.items()}
    uris |= {"the password": f"mongodb://me:{escaped}@127.0.0.1:1/", "unescaped": f"mongodb://me:{secret}@127.0.0.1:1/"}
    key = escaped.replace(";", "%3B")
    return {
        **{name: {"MITORCH_DB_URI": uri} for name, uri in uris.items()},
        "a SAS": {"MITORCH_STORAGE_URL": f"https://a.blob.core.windows.net/c?sp=rw&sig={escaped}"},
        "an account key": {"MITORCH_STORAGE_URL": f"AccountName=a;AccountKey={key};Container=c"},
    }


def forms(secret: str) -> set[str]:
    """The secret as it may be printed."""
    return {
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    }


@contextmanager
def log_lines() -> Iterator[io.StringIO]:
    """All that the package logs."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger("mitorch").addHandler(handler)
    try:
        yield stream
    finally:
        logging.getLogger("mitorch").removeHandler(handler)


def doors(text: str) -> Iterator[str]:
    """All that leaves the program, for a text that somebody else's library has written."""
    with redirect_stdout(io.StringIO()) as out:
        show_fields([("error", text)])
        show_table("errors", ["error"], [[text]])
        show_json({"error": text})
        stream_json([("error", text), ("all", iter([text]))])
    yield out.getvalue()
    events = EventLog()
    events.note(text)
    events.note_failure(text)
    yield from (event.text for event in events.events)
    with log_lines() as lines:
        yield logged_error(RuntimeError(text)).message
    yield lines.getvalue()
    try:
        raise RuntimeError(text)
    except RuntimeError as error:
        yield mask_secrets("".join(traceback.format_exception(error)))


def open_and_close(uri: str) -> None:
    """Checks all that is checked without a server."""
    MongoStore(uri, "x").close()


def told(call: Callable[[], object]) -> str:
    """The text of the error that the call raises, if it does."""
    try:
        return repr(call())
    except MiTorchError as error:
        return str(error)


@settings(
    max_examples=6, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(secret=SECRETS)
def test_no_door_lets_a_secret_through(secret: str) -> None:
    for kind, environ in variables(secret).items():
        (value,) = environ.values()
        shown = [told(partial(read_settings, environ))]
        if kind != "unescaped" and value.startswith("mongodb"):
            shown.append(told(partial(open_and_close, value)))
        shown += doors(f"the driver says: <{'> <'.join(forms(secret))}> was wrong in {value}")
        left = [(text, form) for text in shown for form in forms(secret) if form in text]
        assert left == [], kind


@pytest.mark.parametrize("secret", ["it's mine", 'say "please"', "two words", "a'b\"c d"])
def test_quotes_and_blanks_end_no_password(secret: str) -> None:
    read_settings({"MITORCH_DB_URI": f"mongodb://me:{quote(secret)}@h/"})
    for form in forms(secret):
        assert form not in mask_secrets(f"cannot use {form!s} at mongodb://me:{form}@h/: refused")


@pytest.mark.parametrize("auth", ["me@corp.example:correct horse", "tenant:principal:correct horse"])
def test_the_credential_of_a_cluster_is_known(auth: str) -> None:
    cluster = {
        "name": "gpu",
        "kind": "azureml",
        "subscription_id": "s",
        "resource_group": "g",
        "workspace": "w",
        "auth": {"env": "MY_AUTH"},
    }
    read_settings({"MITORCH_CLUSTERS": json.dumps([cluster]), "MY_AUTH": auth})
    assert mask_secrets("wrong: correct horse!") == "wrong: ***!"


@pytest.mark.parametrize("password", ["test", "train", "a", "mitorch"])
def test_a_password_that_is_a_word_hides_no_words(password: str) -> None:
    uri = f"mongodb://me:{password}@h/"
    read_settings({"MITORCH_DB_URI": uri})
    assert mask_secrets(f"a {password} set at {uri}") == f"a {password} set at mongodb://me:***@h/"


def test_what_another_setting_held_is_forgotten() -> None:
    read_settings({"MITORCH_DB_URI": "mongodb://me:correct%20horse@h/"})
    read_settings({})
    assert mask_secrets("correct horse") == "correct horse"
    know_only([Secret("correct horse")])
    assert mask_secrets("correct horse") == "***"


@pytest.mark.parametrize(
    "text",
    [
        "mongodb://h/?tlsCertificateKeyFilePassword=s3cret&tls=true",
        "proxyPassword=s3cret",
        "authMechanismProperties=AWS_SESSION_TOKEN:s3cret,X:y",
        "AWS_SECRET_ACCESS_KEY=s3cret",
        "export AWS_SESSION_TOKEN=s3cret",
    ],
)
def test_the_names_of_secrets_betray_those_that_are_not_known(text: str) -> None:
    assert "s3cret" not in mask_secrets(text)
