"""Posts to webhooks, and their answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator

import pytest

from mitorch_service.known_secrets import Secret, know
from mitorch_service.models.notification import Event
from mitorch_service.webhook_settings.webhook import EventKind
from mitorch_service.webhooks.event_delivery import Answer, deliver
from mitorch_service.webhooks.post import post
from mitorch_service.webhooks.signature import signature
from mitorch_service.webhooks.slack_message import slack_message
from mitorch_service.webhooks.teams_card import teams_card
from tests.samples import NOW
from tests.webhook_receiver import SECRET, Receiver, receiving

RUDE = "<!channel> *bold* `code` [link](http://evil.example) & <@U1>\x1b[31m"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def an_event(**fields: object) -> Event:
    values: dict[str, object] = {
        "id": "20261120T123015123Z-abc",
        "kind": EventKind.TRAINING_FAILED,
        "at": NOW,
        "subject": "training 1a2b3c4d",
        "text": "failed",
    }
    return Event.model_validate({**values, **fields})


def test_the_signature_is_that_of_the_specification() -> None:
    # The example of standardwebhooks.com's libraries.
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signed = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_receiver_can_verify_a_json_payload_and_tell_a_repeat(receiver: Receiver) -> None:
    event = an_event(name="first", reason="out of memory", facts={"training": "1a2b"})
    for _ in range(2):
        assert deliver(receiver.webhook(), event, NOW, 5) == Answer()
    one, again = receiver.received
    id, timestamp = one.headers["webhook-id"], one.headers["webhook-timestamp"]
    digest = hmac.digest(base64.b64decode(SECRET[6:]), f"{id}.{timestamp}.".encode() + one.body, hashlib.sha256)
    assert one.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert int(timestamp) == int(NOW.timestamp())
    assert (id, one.headers["idempotency-key"]) == (event.id, f'"{event.id}"')
    assert again.headers["webhook-id"] == id
    assert one.json() == {
        "type": "training.failed",
        "timestamp": "2026-11-20T12:30:15.123Z",
        "id": event.id,
        "data": {
            "subject": "training 1a2b3c4d",
            "name": "first",
            "text": "failed",
            "reason": "out of memory",
            "facts": {"training": "1a2b"},
        },
    }


@pytest.mark.parametrize("kind", ["slack", "teams"])
def test_the_address_of_others_is_their_secret(receiver: Receiver, kind: str) -> None:
    assert deliver(receiver.webhook(kind=kind), an_event(), NOW, 5) == Answer()  # type: ignore[arg-type]
    (one,) = receiver.received
    assert "webhook-signature" not in one.headers
    assert one.headers["webhook-id"] == an_event().id


def test_slack_formats_nothing_that_people_wrote() -> None:
    message = slack_message(an_event(name=RUDE, reason=RUDE + "\n```", facts={"tags": RUDE}, text=RUDE))
    texts = [block["text"]["text"] for block in message["blocks"]]  # type: ignore[attr-defined]
    assert len(texts) == 3
    for text in [*texts, message["text"]]:
        assert "<" not in text and ">" not in text and "\x1b" not in text
        assert "&lt;!channel&gt;" in text and "&amp;" in text
    assert texts[1].startswith("```") and texts[1].endswith("```") and texts[1].count("`") == 6
    assert texts[2].count("`") == 2


@pytest.mark.parametrize("reason", ["&" * 5000, "x" * 5000, "<" * 2000])
def test_no_section_of_slack_is_too_long_or_cut_within_an_entity(reason: str) -> None:
    message = slack_message(an_event(reason=reason, name="y" * 1000, facts={"tags": "z" * 1000}))
    for block in message["blocks"]:  # type: ignore[attr-defined]
        text = block["text"]["text"]
        assert len(text) <= 3000
        assert text.count("&") == text.count(";")


def test_teams_gets_an_adaptive_card_in_which_nothing_is_markdown() -> None:
    message = teams_card(an_event(name=RUDE, reason=RUDE + "\nsecond line", facts={"tags": RUDE}))
    attachment = message["attachments"][0]  # type: ignore[index]
    assert (message["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    runs = [run for block in card["body"] for run in block["inlines"]]
    assert {run["type"] for run in runs} == {"TextRun"}
    assert "second line" in [run["text"] for run in runs]
    assert len(json.dumps(teams_card(an_event(reason="é" * 50_000, name="é" * 999)))) < 28_000


def test_an_answer_says_whether_another_event_may_pass(receiver: Receiver) -> None:
    webhook = receiver.webhook()

    def answer(status: int, text: str = "", **headers: str) -> Answer:
        receiver.status, receiver.text = status, text
        receiver.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return deliver(webhook, an_event(), NOW, 5)

    assert answer(204) == Answer()
    assert answer(202, "accepted") == Answer()
    assert answer(400, "invalid_payload") == Answer("HTTP 400: invalid_payload", of_request=True)
    assert answer(429, Retry_After="17") == Answer("HTTP 429", wait=17.0)
    assert answer(429, Retry_After="Fri, 20 Nov 2026 12:31:15 GMT") == Answer("HTTP 429", wait=59.877)
    assert answer(429, Retry_After="999999") == Answer("HTTP 429", wait=3600.0)
    assert answer(503, Retry_After="soon") == Answer("HTTP 503")
    assert answer(500, "x" * 100_000).problem == f"HTTP 500: {'x' * 149}…"


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.status, receiver.headers = 302, {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"}
    answer = deliver(receiver.webhook(), an_event(), NOW, 5)
    assert answer.problem is not None and "redirect (302)" in answer.problem
    assert [one.path for one in receiver.received] == ["/ops"]


def test_an_answer_that_repeats_a_secret_is_masked(receiver: Receiver) -> None:
    know([Secret("a-secret-value")])
    receiver.status, receiver.text = 500, "no a-secret-value here"
    assert deliver(receiver.webhook(), an_event(), NOW, 5) == Answer("HTTP 500: no *** here")


@pytest.mark.parametrize(
    ("manner", "seconds", "answer"),
    [
        ("hangs", 1.0, Answer("no answer within 1 s")),
        ("drips", 1.0, Answer()),  # it has taken it
    ],
)
def test_a_receiver_that_comes_to_no_end_is_left(
    receiver: Receiver, manner: str, seconds: float, answer: Answer
) -> None:
    setattr(receiver, manner, True)
    begin = time.monotonic()
    assert deliver(receiver.webhook(), an_event(), NOW, seconds) == answer
    assert time.monotonic() - begin < 4
    for thread in threading.enumerate():
        if thread.name == "webhook":
            thread.join(5)  # it ends, although the receiver goes on
    assert not [thread for thread in threading.enumerate() if thread.name == "webhook"]


def test_a_receiver_that_is_not_there_or_dies_is_a_problem_in_words(receiver: Receiver) -> None:
    receiver.dies = True
    answer = deliver(receiver.webhook(), an_event(), NOW, 5)
    assert answer == Answer("the connection was closed without an answer")
    assert post("http://127.0.0.1:1/", b"", {}, 5).text == "Connection refused"
    assert post("https://127.0.0.1:1/", b"", {}, 5).status is None
