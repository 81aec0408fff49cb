"""A server that answers and closes before it has read a body: its answer is read."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from mitorch_service.client.connection import Options, Written
from mitorch_service.client.remote import RemoteConnection
from mitorch_service.errors import ServerError
from mitorch_service.interop.vott.web.addresses import parse_networks
from mitorch_service.interop.vott.web.exchange import Refused, Unavailable, Web
from mitorch_service.interop.vott.web.web_address import web_address
from mitorch_service.webhooks.post import Reply, post

BODY = b"x" * 20_000_000  # more than two machines keep on the way
REFUSAL = b'HTTP/1.1 413 Too Large\r\nContent-Length: 20\r\n\r\n{"error": "too big"}'


@pytest.fixture
def hasty(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that reads the beginning of a request, answers with the parameter, and closes."""
    answer: bytes = request.param
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(1000)
                        connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def upload(address: str) -> None:
    web = Web(parse_networks("127.0.0.0/8"))
    web.send("PUT", web_address(f"{address}/model.tgz"), io.BytesIO(BODY), len(BODY), seconds=20, headers={})


@pytest.mark.parametrize("hasty", [REFUSAL], indirect=True)
def test_a_refusal_of_a_model_is_read(hasty: str) -> None:
    for _ in range(5):
        with pytest.raises(Refused, match=r'/model\.tgz: HTTP 413 Too Large \({"error": "too big"}\)'):
            upload(hasty)


@pytest.mark.parametrize("hasty", [b""], indirect=True)
def test_a_connection_that_breaks_without_an_answer_is_told_as_such(hasty: str) -> None:
    with pytest.raises(Unavailable, match=r"closed without an answer|Connection reset by peer"):
        upload(hasty)
    assert post(f"{hasty}/", BODY, {}, 20).text in (
        "the connection was closed without an answer",
        "Connection reset by peer",
    )


@pytest.mark.parametrize("hasty", [REFUSAL], indirect=True)
def test_a_refusal_of_an_event_is_read(hasty: str) -> None:
    for _ in range(5):
        assert post(f"{hasty}/", BODY, {}, 20) == Reply(413, '{"error": "too big"}')


@pytest.mark.parametrize("hasty", [REFUSAL], indirect=True)
def test_a_refusal_of_a_submission_is_read(hasty: str) -> None:
    written = Written(BODY.decode(), "job.json")
    for _ in range(5):
        with pytest.raises(ServerError, match="too big"):
            RemoteConnection(hasty, "token").submit(written, Options(), dry_run=False)
