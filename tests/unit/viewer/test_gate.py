"""The gate under attack: without the token, from other sites, by links to single pages, with odd paths and bodies."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.testclient import TestClient

from mitorch_service.viewer.access.answers import local
from mitorch_service.viewer.access.bodies import MOST_BYTES, BodyRefused, read_body
from mitorch_service.viewer.access.sharing import make_share, read_share
from mitorch_service.viewer.serve import MaskingFormatter
from tests.samples import a_training
from tests.served import ADDRESS, BEARER, NOW, TOKEN, Served, served

PAGE = {"accept": "text/html"}
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("gate"), trainings=27, trials=4) as made:
        yield made


@pytest.fixture
def stranger(service: Served) -> TestClient:
    return service.client({}, follow_redirects=False)


def every_route(service: Served) -> list[tuple[str, str]]:
    """Method and path of all that the application answers, with an id that exists."""
    id = service.training("completed")
    found = []
    nested = (getattr(route, "original_router", None) for route in service.app.routes)
    routes = [*service.app.routes, *(one for router in nested if router is not None for one in router.routes)]
    for route in routes:
        for method in getattr(route, "methods", None) or ():
            path = re.sub(r"\{[^}]*\}", id, route.path)
            found.append((method, path))
    return found


def test_a_page_tells_by_head_whether_it_may_be_read(service: Served, stranger: TestClient) -> None:
    browser = signed_in(service)
    paths = [path for method, path in every_route(service) if method == "HEAD" and not path.startswith("/api/")]
    assert {"/", "/trainings", f"/trainings/{service.training('completed')}"} <= set(paths)
    for path in paths:
        assert browser.head(path).status_code == browser.get(path).status_code
    assert stranger.head("/trainings").status_code == 401


def signed_in(service: Served) -> TestClient:
    """A browser that has opened the link."""
    browser = service.client(PAGE, follow_redirects=False)
    assert browser.get(f"/?token={TOKEN}").status_code == 303
    return browser


class TestWithoutTheToken:
    def test_no_route_answers_but_the_form(self, service: Served, stranger: TestClient) -> None:
        routes = every_route(service)
        assert len(routes) > 25
        for method, path in routes:
            if path.startswith("/sign-in"):
                continue
            for headers in ({}, PAGE, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
                assert stranger.request(method, path, headers=headers).status_code == 401, (method, path, headers)

    @pytest.mark.parametrize(
        "path",
        [
            "/static/../api/queue",
            "/static/%2e%2e/api/queue",
            "/sign-in/../api/queue",
            "//api/queue",
            "/api//queue",
            "/api/queue/.",
            "/share/x/../../api/queue",
            "/sign-in%00",
            "/sign-inside",
            "/favicon.ico/x",
            "/API/queue",
            "/static/\\..\\..\\pyproject.toml",
            "/static/%2e%2e/%2e%2e/app.py",
            "/static/..%2f..%2fapp.py",
        ],
    )
    def test_no_odd_path_leads_past_the_gate(self, stranger: TestClient, path: str) -> None:
        answer = raw(stranger, path)
        assert answer[0] in (401, 404), path
        assert b"counts" not in answer[1] and b"import" not in answer[1]

    def test_the_path_is_not_read_from_the_host(self, tmp_path: Path) -> None:
        with served(tmp_path, trainings=1, trials=0, hosts=["*"]) as service:
            for host in ("x/static/?", "x/sign-in?", "a@b", "a b", "", "x\ty", "[::1", "x:999999"):
                assert raw(service.client({}), "/api/queue", [(b"host", host.encode())])[0] == 403, host
            assert raw(service.client({}), "/api/queue", [(b"host", b"a"), (b"host", b"b")])[0] == 403
            assert service.client({**BEARER, "host": "any.example:8080"}).get("/api/queue").status_code == 200

    def test_another_name_that_leads_here_is_refused(self, service: Served) -> None:
        for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:8474", "localhost.evil", "0.0.0.0"):
            assert service.client({**BEARER, "host": host}).get("/api/queue").status_code == 403
        for host in ("localhost:8474", "LOCALHOST", "[::1]:8474", "127.0.0.1"):
            assert service.client({**BEARER, "host": host}).get("/api/queue").status_code == 200

    def test_the_token_opens_by_header_link_and_form_only(self, service: Served, stranger: TestClient) -> None:
        assert stranger.get("/api/queue", headers=BEARER).status_code == 200
        assert stranger.get("/api/queue", headers={"cookie": f"mitorch_viewer_80={TOKEN}"}).status_code == 401
        assert stranger.get(f"/status?token={TOKEN[:-1]}", headers=PAGE).status_code == 401
        for wrong in ("", "wrong", TOKEN.upper(), f"{TOKEN}x"):
            assert stranger.post("/sign-in", data={"token": wrong}).status_code == 401
        assert stranger.post("/sign-in", data={"token": TOKEN, "next": "/status"}).status_code == 303
        assert stranger.get("/api/queue").status_code == 200
        assert stranger.post("/sign-out").status_code == 303
        assert stranger.get("/api/queue").status_code == 401

    def test_what_follows_a_sign_in_is_on_this_server(self, service: Served) -> None:
        targets = [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "\\\\evil",
            "/ /evil",
        ]
        for target in targets:
            browser = service.client({}, follow_redirects=False)
            to = browser.post("/sign-in", data={"token": TOKEN, "next": target}).headers["location"]
            assert to.startswith("/") and not to.startswith(("//", "/\\", "/%09/")), (target, to)
            assert re.match(r"^/[^/\\]", local(target)) or local(target) == "/"
        split = service.client({}, follow_redirects=False)
        answer = split.post("/sign-in", data={"token": TOKEN, "next": "/x\r\nset-cookie: a=b"})
        assert "a=b" not in answer.headers.get("set-cookie", "")

    def test_a_link_from_another_site_leads_through_a_page_of_ours(self, service: Served) -> None:
        browser = service.client({**PAGE, "sec-fetch-site": "cross-site"}, follow_redirects=False)
        answer = raw(browser, f"/%09/evil%22%3e{'x'}", query=f"token={TOKEN}&q=%22%3E<b>")
        assert answer[0] in (200, 404) and b"//evil" not in answer[1] and b"<b>" not in answer[1]
        answer = raw(browser, "/status", query=f"token={TOKEN}&q=%22%3E%3Cb%3E", headers=cross_site())
        assert answer[0] == 200 and b'url=/status?q=%22%3E%3Cb%3E"' in answer[1] and TOKEN.encode() not in answer[1]


class TestFromAnotherSite:
    @pytest.mark.parametrize(
        ("headers", "code"),
        [
            ({"sec-fetch-site": "cross-site"}, 403),
            ({"sec-fetch-site": "same-site"}, 403),
            ({"origin": "http://evil.example"}, 403),
            ({"origin": "http://127.0.0.1:1"}, 403),
            ({"origin": "null"}, 403),
            ({"sec-fetch-site": "cross-site", "authorization": "Basic eDp5"}, 403),
            ({"origin": "http://evil.example", "authorization": ""}, 403),
            ({"sec-fetch-site": "same-origin", "origin": ADDRESS}, 200),
            ({"origin": ADDRESS}, 200),
            ({}, 200),
            ({"sec-fetch-site": "cross-site", **BEARER}, 200),
        ],
    )
    def test_a_browser_that_is_signed_in_changes_nothing(
        self, service: Served, headers: dict[str, str], code: int
    ) -> None:
        id = service.training("completed")
        answer = signed_in(service).patch(f"/api/trainings/{id}", json={"note": "x"}, headers=headers)
        assert answer.status_code == code

    def test_a_form_of_another_site_is_no_json(self, service: Served) -> None:
        id = service.training("completed")
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            answer = signed_in(service).patch(
                f"/api/trainings/{id}", content=b'{"note": "y"}', headers={"content-type": kind}
            )
            assert answer.status_code == 422
        assert signed_in(service).post("/sign-out", headers={"origin": "http://evil.example"}).status_code == 403

    def test_no_answer_may_be_read_or_framed_by_another_site(self, service: Served) -> None:
        for path in ("/status", "/api/queue", "/api/openapi.json", "/nowhere", "/static/css/app.css"):
            headers = service.client(BEARER).get(path).headers
            assert "access-control-allow-origin" not in headers
            assert headers["x-frame-options"] == "DENY" and headers["cross-origin-resource-policy"] == "same-origin"
            assert headers["referrer-policy"] == "no-referrer" and headers["x-content-type-options"] == "nosniff"
            policy = headers["content-security-policy"]
            assert "unsafe" not in policy and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy

    def test_without_a_token_other_sites_change_nothing_either(self, tmp_path: Path) -> None:
        with served(tmp_path, trainings=27, trials=0, token=None) as service:
            id, client = service.training("completed"), service.client({})
            assert client.get("/api/queue").status_code == 200
            assert client.patch(f"/api/trainings/{id}", json={"note": "x"}).status_code == 200
            evil = {"origin": "http://evil.example"}
            assert client.patch(f"/api/trainings/{id}", json={"note": "x"}, headers=evil).status_code == 403
            assert client.post("/api/shares", json={"subject": f"training/{id}"}).status_code == 409


def test_a_read_only_server_changes_nothing(tmp_path: Path) -> None:
    with served(tmp_path, trainings=27, trials=4, read_only=True) as service:
        client = service.client()
        for method, path in every_route(service):
            if method in ("POST", "PUT", "PATCH", "DELETE") and path not in ("/sign-in", "/sign-out"):
                answer = client.request(method, path, json={})
                assert answer.status_code == 403 and "read-only" in answer.text, (method, path)
        assert client.get("/submit").status_code == 409
        assert (
            "data-may-change" not in client.get("/status").text and 'href="/submit"' not in client.get("/status").text
        )
        assert 'href="/submit"' in client.get("/status").text or "read-only" in client.get("/status").text


class TestSharedPages:
    def link(self, service: Served, subject: str, days: float = 1) -> str:
        answer = service.client().post("/api/shares", json={"subject": subject, "days": days})
        assert answer.status_code == 200, answer.text
        path: str = answer.json()["path"]
        assert TOKEN not in path and answer.json()["link"] == ADDRESS + path
        return path

    def guest(self, service: Served, subject: str) -> TestClient:
        guest = service.client(PAGE, follow_redirects=False)
        assert guest.get(self.link(service, subject)).status_code == 303
        return guest

    def test_the_page_and_its_data_are_read_and_nothing_else(self, service: Served) -> None:
        id, other = service.training("completed"), service.training("failed")
        guest = self.guest(service, f"training/{id[:12]}")
        fine = [f"/trainings/{id}", f"/api/trainings/{id}", f"/api/trainings/{id}/curve?after=3&limit=2"]
        fine += [f"/api/curves?ids={id}&points=100"]
        for path in fine:
            assert guest.get(path).status_code == 200, path
        refused = [
            "/",
            "/trainings",
            "/status",
            "/submit",
            "/find?q=a",
            "/api/queue",
            "/api/trainings",
            "/api/datasets",
        ]
        refused += [f"/trainings/{other}", f"/api/trainings/{other}", f"/api/jobs/{service.job}", "/api/openapi.json"]
        refused += [f"/trainings/{id[:12]}", f"/api/curves?ids={other}", f"/api/curves?ids={id}&ids={other}"]
        refused += [f"/api/curves?ids={id},{other}", "/api/curves", f"/compare?ids={id},{other}", f"/compare?ids={id}"]
        refused += [f"/trainings/{id}?against={other}", f"/trainings/{id}?base={other}", f"/trainings/{id}?token="]
        refused += [f"/api/trainings/{id}/curve?ids={other}", f"/trainings/{id}x", f"/TRAININGS/{id}"]
        for path in refused:
            assert guest.get(path).status_code == 401, path
        for path in (f"/trainings/{id}/../{other}", f"/api/trainings/{id}/%2e%2e/{other}", f"/trainings/{id}//{other}"):
            assert raw(guest, path, cookies=True)[0] == 404, path

    def test_nothing_can_be_changed(self, service: Served) -> None:
        id = service.training("completed")
        guest = self.guest(service, f"training/{id}")
        page = guest.get(f"/trainings/{id}").text
        assert "data-may-change" not in page and "Sections" not in page
        for method, path in every_route(service):
            if method in ("POST", "PUT", "PATCH", "DELETE") and not path.startswith("/sign-in"):
                assert guest.request(method, path, json={}).status_code == 401, (method, path)

    def test_a_comparison_opens_its_trainings_only(self, service: Served) -> None:
        a, b, c = service.training("completed"), service.training("failed"), service.training("diverged")
        guest = self.guest(service, f"compare/{a},{b}")
        assert guest.get(f"/compare?ids={a},{b}").status_code == 200
        assert guest.get(f"/api/curves?ids={b}").status_code == 200
        for path in (f"/compare?ids={a},{c}", f"/compare?ids={a}&with={c}", "/compare", f"/trainings/{a}"):
            assert guest.get(path).status_code == 401, path

    def test_a_link_expires_and_cannot_be_forged_or_stretched(self, service: Served) -> None:
        id, other = service.training("completed"), service.training("failed")
        link = self.link(service, f"training/{id}")
        guest = service.client(PAGE, follow_redirects=False)
        head, _, signature = link.rpartition(".")
        start, _, expires = head.rpartition(".")
        forged = [
            link.replace(id, other),
            f"{start}.{int(expires) + 86400}.{signature}",
            f"{head}.{'0' * 64}",
            f"{head}.",
            f"{start}.{expires}.{signature}\u00e9",
            f"/share/training.{id}",
            f"/share/training.{id}.{expires}.{signature}.x",
            "/share/",
            "/share/...",
            link.replace("training.", "job."),
            link.replace("training.", "compare."),
        ]
        for path in forged:
            assert guest.get(path).status_code == 403, path
        assert guest.get(link).status_code == 303
        assert guest.get(f"/trainings/{id}").status_code == 200
        service.clock[0] += timedelta(days=1, seconds=1)
        try:
            assert guest.get(f"/trainings/{id}").status_code == 401
            assert service.client(PAGE, follow_redirects=False).get(link).status_code == 403
        finally:
            service.clock[0] -= timedelta(days=1, seconds=1)

    def test_a_stream_ends_with_the_link(self, service: Served) -> None:
        """A page that was opened in time would else be kept up to date for as long as its tab stays open."""
        id = service.training("running")
        guest = service.client({})
        guest.get(f"/share/{make_share(f'training/{id}', timedelta(hours=1), NOW).text(TOKEN)}")
        almost = timedelta(hours=1, milliseconds=-100)
        service.clock[0] += almost
        try:
            for path in (f"/api/events/trainings/{id}", f"/api/events/curves?ids={id}"):
                assert "event: " in guest.get(path).text, path
        finally:
            service.clock[0] -= almost

    def test_a_share_is_no_session_and_a_session_no_share(self, service: Served) -> None:
        id = service.training("completed")
        text = self.link(service, f"training/{id}").removeprefix("/share/")
        for name in ("mitorch_viewer_80", "mitorch_viewer_None", "mitorch_viewer_"):
            assert service.client({"cookie": f"{name}={text}"}).get("/api/queue").status_code == 401

    @pytest.mark.parametrize("body", [{"subject": "x/1"}, {"subject": "training/"}, {"subject": "job/../.."}, {}])
    def test_only_pages_are_shared(self, service: Served, body: dict[str, str]) -> None:
        assert service.client().post("/api/shares", json=body).status_code in (400, 404, 422)

    @pytest.mark.parametrize("days", [0, -1, 91, 1e9, "nan"])
    def test_only_for_a_time(self, service: Served, days: object) -> None:
        body = {"subject": f"training/{service.training('completed')}", "days": days}
        assert service.client().post("/api/shares", json=body).status_code == 422


class TestBodies:
    def test_a_long_body_is_refused_before_it_is_parsed(self, service: Served) -> None:
        client = service.client()
        long = b'{"text": "' + b"x" * MOST_BYTES + b'"}'
        for content in (long, iter([long[:600_000], long[600_000:]])):
            answer = client.post("/api/validate", content=content, headers={"content-type": "application/json"})
            assert answer.status_code == 413 and "1 MB" in answer.text
        deep = b'{"config":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
        answer = client.post("/api/validate", content=deep, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422)
        assert service.client({}).post("/sign-in", content=b"token=" + b"x" * 5000).status_code == 413

    def test_a_slow_body_is_given_up(self) -> None:
        async def never() -> dict[str, Any]:
            await asyncio.sleep(60)
            return {}

        request = Request({"type": "http", "method": "POST", "headers": [], "path": "/"})
        with pytest.raises(BodyRefused) as refused:
            asyncio.run(read_body(request, never, seconds=0.05))
        assert refused.value.code == 408

    def test_a_length_that_is_none_is_refused(self, service: Served) -> None:
        for length in (b"-1", b"1e3", b"\xb2", b"9" * 400):
            status = raw(
                service.client(), "/api/validate", [(b"host", b"localhost"), (b"content-length", length)], "POST"
            )
            assert status[0] in (401, 413)


def test_users_text_is_never_html_and_secrets_never_shown(tmp_path: Path) -> None:
    with served(tmp_path, trainings=27, trials=4) as service:
        secret = "sig=SECRETSIGNATURE%3D&se=2027"
        url = f"https://x.blob.core.windows.net/c?{secret}"
        training = a_training(
            name=HOSTILE,
            tags=[f"a={HOSTILE}"],
            user_note=HOSTILE + "\x1b[31m\u202e",
            submitted_by=HOSTILE,
            config={"model": {"name": HOSTILE}, "base": url, "note": TOKEN, "pw": "mongodb://u:p4ssw0rd@h/"},
            artifacts={HOSTILE: url},
        )
        service.store.queue.add_trainings([training])
        client = service.client()
        pages = [f"/trainings/{training.id}", "/", "/status", "/submit", f"/compare?ids={training.id},{service.job}"]
        pages += [f"/find?q={HOSTILE}", f"/{HOSTILE}", f"/trainings/{HOSTILE}", "/api/trainings?where=status:new"]
        pages += [f"/api/trainings/{training.id}", "/api/queue", "/api/status", f"/api/trainings/{HOSTILE}"]
        pages += [f"/api/trainings?where={HOSTILE}", f"/api/trainings?columns={HOSTILE}", f"/compare?ids={HOSTILE}"]
        for path in pages:
            answer = client.get(path, headers={**BEARER, **PAGE})
            assert "SECRETSIGNATURE" not in answer.text and "p4ssw0rd" not in answer.text, path
            if "html" in answer.headers["content-type"]:
                assert "<script>alert" not in answer.text and "<img src=x" not in answer.text, path
                assert "\x1b" not in answer.text and "\u202e" not in answer.text, path
            else:
                assert answer.headers["content-type"].startswith("application/json"), path


def test_the_token_is_in_no_page_header_or_log(
    service: Served, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    browser = signed_in(service)
    id = service.training("completed")
    for path in ("/", "/status", "/submit", f"/trainings/{id}", "/api/openapi.json", "/nowhere", f"/?token={TOKEN}"):
        answer = browser.get(path)
        assert TOKEN not in answer.text and TOKEN not in str(answer.headers), path
    wrong = browser.get(f"/status?token={TOKEN}x")
    assert wrong.status_code == 401 and TOKEN not in wrong.text
    assert TOKEN not in caplog.text and TOKEN not in "".join(capsys.readouterr())


def test_a_bug_is_told_without_secrets_and_logged_masked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with served(tmp_path, trainings=0, trials=0) as service:

        def broken() -> None:
            raise RuntimeError("mongodb://u:p4ssw0rd@h/ <b>")

        service.app.state.context.open_backends = broken
        client = service.client(raise_server_exceptions=False)
        for path in ("/api/status", "/status"):
            answer = client.get(path, headers={**BEARER, **PAGE})
            assert answer.status_code == 500 and "p4ssw0rd" not in answer.text, path
            assert "This is a bug" in answer.text and "Traceback" not in answer.text
            assert "<b>" not in answer.text or path.startswith("/api")
    assert "RuntimeError" in caplog.text and "p4ssw0rd" not in caplog.text
    try:
        broken()
    except RuntimeError:
        record = logging.LogRecord("uvicorn", logging.ERROR, "x", 1, "in %s", ("x",), sys.exc_info())
    text = MaskingFormatter("%(message)s").format(record)
    assert "Traceback" in text and "mongodb://u:***@h/" in text


def cross_site() -> list[tuple[bytes, bytes]]:
    return [(b"host", b"127.0.0.1"), (b"sec-fetch-site", b"cross-site"), (b"accept", b"text/html")]


def raw(
    client: TestClient,
    path: str,
    headers: list[tuple[bytes, bytes]] | None = None,
    method: str = "GET",
    query: str = "",
    cookies: bool = False,
) -> tuple[int, bytes]:
    """Calls the application with a path as a server hands it on: decoded, and otherwise as it came."""
    from urllib.parse import unquote

    sent: list[dict[str, Any]] = []
    given = list(headers if headers is not None else [(b"host", b"127.0.0.1")])
    if cookies:
        given.append((b"cookie", "; ".join(f"{one.name}={one.value}" for one in client.cookies.jar).encode()))
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": given,
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 5),
        "scheme": "http",
        "root_path": "",
        "http_version": "1.1",
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(client.app(scope, receive, send))  # type: ignore[arg-type]
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], body


@given(st.text(max_size=60))
def test_no_text_leads_to_another_host(text: str) -> None:
    path = local(text)
    assert path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()


@given(st.text(max_size=300))
def test_no_text_is_a_link_that_was_not_made_here(text: str) -> None:
    subject = "training/" + "0" * 8 + "-0000-4000-8000-" + "0" * 12
    made = make_share(subject, timedelta(days=1), NOW).text(TOKEN)
    for forged in (text, made + text[:5] or "x", text[:5] + made, made[:70] + text + made[70:]):
        assert forged == made or read_share(forged, TOKEN, NOW) is None
    assert read_share(made, TOKEN + "x", NOW) is None
    assert read_share(made, TOKEN, NOW) is not None
