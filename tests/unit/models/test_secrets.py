"""Credentials never stay in a text, and nothing else is taken out of it."""

from __future__ import annotations

import pytest

from mitorch_service.models.secrets import mask_secrets


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("mongodb://me:pw@db.example:27017/x", "mongodb://me:***@db.example:27017/x"),
        ("mongodb+srv://me:pw@db.example", "mongodb+srv://me:***@db.example"),
        ("MONGODB://me:pw@db.example", "MONGODB://me:***@db.example"),
        ("redis://:pw@db.example", "redis://:***@db.example"),
        ("https://me:pw@hub.example/a/b", "https://me:***@hub.example/a/b"),
        ("at 'mongodb://me:pw@db', retrying", "at 'mongodb://me:***@db', retrying"),
        ("mongodb://a:pw@x/ and mongodb://b:pw@y/", "mongodb://a:***@x/ and mongodb://b:***@y/"),
        (
            "https://a.blob.core.windows.net/c/model.pth?sv=2024-01-01&sp=r&sig=aB%2Fc%3D&se=2027",
            "https://a.blob.core.windows.net/c/model.pth?sv=2024-01-01&sp=r&sig=***&se=2027",
        ),
        ("sig=abc%3D&sv=2024", "sig=***&sv=2024"),
        ("https://f.example/api?code=abc==", "https://f.example/api?code=***"),
        (
            "DefaultEndpointsProtocol=https;AccountName=me;AccountKey=aGVsbG8/+w==;EndpointSuffix=core.windows.net",
            "DefaultEndpointsProtocol=https;AccountName=me;AccountKey=***;EndpointSuffix=core.windows.net",
        ),
        ("Endpoint=sb://x/;SharedAccessKey=abc=", "Endpoint=sb://x/;SharedAccessKey=***"),
        ("AccountKey=abc==;AccountName=me", "AccountKey=***;AccountName=me"),
        ("Server=db;User=me;Password=pw;", "Server=db;User=me;Password=***;"),
    ],
)
def test_a_credential_is_masked_and_the_rest_stays(text: str, masked: str) -> None:
    assert mask_secrets(text) == masked


@pytest.mark.parametrize("password", ["p@ss", "p:ss", "p/ss", "p?ss", "p#ss", "p@s@s/x", "%40%2F", "pässwörd", "&;=$"])
def test_a_database_password_of_any_characters_is_masked(password: str) -> None:
    text = f"cannot reach mongodb://me:{password}@db.example:27017/mitorch?tls=true: timed out"
    expected = "cannot reach mongodb://me:***@db.example:27017/mitorch?tls=true: timed out"
    assert mask_secrets(text) == expected


def test_a_user_name_that_is_an_address_does_not_show_the_password() -> None:
    assert "pw" not in mask_secrets("mongodb://me@corp.example:pw@db.example/")


def test_every_line_is_masked() -> None:
    assert mask_secrets("one mongodb://a:pw@x\nsig=abc\n") == "one mongodb://a:***@x\nsig=***\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "epoch 3  train_loss 0.1234  val_loss 0.5678",
        "it ended with exit code=1",
        "mongodb://db.example:27017/mitorch",
        "https://hub.example:8080/models/resnet@v2",
        "see me@corp.example, or http://localhost:6006/",
        "design=flat;assign=3",
        "/data/images.zip@0001.png 3",
    ],
)
def test_plain_text_is_untouched(text: str) -> None:
    assert mask_secrets(text) == text


def test_masking_twice_changes_nothing_more() -> None:
    once = mask_secrets("mongodb://me:pw@db/?x=1&sig=abc")
    assert mask_secrets(once) == once
