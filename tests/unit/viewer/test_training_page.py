"""The page of a training: what it says, what its files can do, and what its streams send."""

from __future__ import annotations

import json
import re

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.models.training import Progress
from mitorch_service.stores.verbs.runs import result_document
from mitorch_service.viewer.api import curves
from tests.demo_service import EPOCHS
from tests.fakes import FakeBackend, primitives
from tests.samples import NOW, a_result, a_training, an_attempt
from tests.served import Served

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
HOSTILE = "<script>alert(1)</script>"


def keep(service: Served, id: str, name: str, content: bytes) -> None:
    """Stores a file of a training."""
    source = service.settings.home / "source"
    source.write_bytes(content)
    FolderArtifactStore(service.settings.home / "artifacts").put(f"{id}/{name}", source)


def test_a_failure_is_told_first(seen: Served) -> None:
    id = seen.training("failed")
    answer = seen.client().get(f"/trainings/{id}")
    assert answer.status_code == 200
    page = answer.text
    assert page.index("image file is truncated") < page.index("Curves")
    assert f"<title>failed 8/{EPOCHS} · " in page
    assert page.count("<polyline") == 4  # without JavaScript: each measure as a picture


def test_a_training_by_steps_shows_them_and_the_loss_of_each_stage(service: Served) -> None:
    progress = Progress(epoch=1, max_epochs=4, step=25, at=NOW)
    training = a_training(status="running", max_steps=100, max_epochs=4, attempt=1, progress=progress)
    training = training.model_copy(update={"attempts": [an_attempt(training)]})
    service.store.queue.add_trainings([training])
    result = a_result(1, step=25, losses={"objectness": 0.125, "box_reg": 0.5})
    primitives(service.store).put("training_results", result_document(training.id, 1, result), "attempt")
    page = service.client().get(f"/trainings/{training.id}").text
    assert "<title>running 25/100 · " in page
    assert '<span class="number">25/100</span> <span class="quiet-text">steps</span>' in page
    assert "step 25" in page
    assert '<th class="number">loss_objectness</th>' in page and "0.125" in page
    assert '<span class="quiet-text">steps</span>' in service.client().get("/").text


def test_the_code_of_a_script_is_shown_where_it_was_submitted(service: Served) -> None:
    code = {
        "archive": f"code/{'0' * 64}.tar.gz",
        "files": 3,
        "size": 99,
        "python": "3.11.7",
        "git": {"commit": "abc123"},
    }
    pages = []
    for script in ({"command": ["true"]}, {"command": ["true"], "source": "fit", "code": code}):
        training = a_training(config={"script": script})
        service.store.queue.add_trainings([training])
        answer = service.client().get(f"/trainings/{training.id}")
        assert answer.status_code == 200
        pages.append("git abc123 · Python 3.11.7, 0 packages" in answer.text)
    assert pages == [False, True]


def test_what_was_canceled_before_it_began_waits_for_nothing(service: Served) -> None:
    client, id = service.client(), service.training("new")
    assert "miquery --why" in client.get(f"/trainings/{id}").text
    client.post(f"/api/trainings/{id}/cancel")
    page = client.get(f"/trainings/{id}").text
    assert "None: it ended before one began." in page and "miquery --why" not in page


def test_the_beginning_of_an_id_leads_to_the_page(seen: Served) -> None:
    id = seen.training("completed")
    answer = seen.client().get(f"/trainings/{id[:10]}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/trainings/{id}")
    job = seen.client().get(f"/trainings/{seen.job}", follow_redirects=False)
    assert job.headers["location"] == f"/jobs/{seen.job}"
    assert seen.client().get("/trainings/ffffffff").status_code == 404


def test_what_people_and_programs_wrote_is_text(service: Served) -> None:
    client, id = service.client(), service.training("new")
    client.patch(f"/api/trainings/{id}", json={"name": HOSTILE, "note": f"{HOSTILE} mongodb://u:geheim-1@h/"})
    page = client.get(f"/trainings/{id}").text
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    assert "geheim-1" not in page


def test_pictures_are_shown_and_everything_else_is_a_download(service: Served) -> None:
    id = service.training("completed")
    keep(service, id, "plots/confusion.png", PNG)
    keep(service, id, "plots/trap.png", HOSTILE.encode())
    keep(service, id, "page.html", HOSTILE.encode())
    keep(service, id, "drawing.svg", b"<svg onload='alert(1)'/>")
    client = service.client()
    shown = client.get(f"/api/trainings/{id}/files/plots/confusion.png")
    assert (shown.headers["content-type"], shown.content) == ("image/png", PNG)
    for name in ("plots/trap.png", "page.html", "drawing.svg"):
        answer = client.get(f"/api/trainings/{id}/files/{name}")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment; ")
        assert "sandbox" in answer.headers["content-security-policy"]


def test_no_file_but_the_trainings_own_is_served(service: Served) -> None:
    id, other = service.training("completed"), service.training("failed")
    keep(service, id, "model.pth", b"weights")
    keep(service, other, "secret.txt", b"of another")
    client = service.client()
    names = (f"../{other}/secret.txt", f"..%2f{other}%2fsecret.txt", "%2e%2e/mitorch.db", "/etc/passwd", "%00", "")
    for name in names:
        answer = client.get(f"/api/trainings/{id}/files/{name}")
        assert answer.status_code in (404, 400), name
        assert b"of another" not in answer.content
    assert client.get(f"/api/trainings/{id}/files/model.pth").content == b"weights"


def test_mistakes_are_shown_with_the_most_certain_first(service: Served) -> None:
    id = service.training("completed")
    rows = [
        "file,label,prediction,probability,correct",
        "a.jpg,cat,cat,0.9,1",
        "b.jpg,cat,dog,0.6,0",
        "c.jpg,dog,cat,0.97,0",
    ]
    keep(service, id, "plots/val/predictions.csv", "\n".join(rows).encode())
    page = service.client().get(f"/trainings/{id}").text
    assert page.index("c.jpg") < page.index("b.jpg")
    assert "a.jpg" not in page


def test_the_log_is_masked_text(service: Served) -> None:
    id = service.training("running")
    for one in service.backends.values():
        assert isinstance(one, FakeBackend)
        one.log_texts[f"mt-{id}-a1"] = f"epoch 1\n{HOSTILE} mongodb://u:geheim-1@h/\n"
    answer = service.client().get(f"/api/trainings/{id}/log")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "epoch 1" in answer.text and "geheim-1" not in answer.text


def test_control_characters_of_a_log_are_shown_unless_raw_is_asked_for(service: Served) -> None:
    id = service.training("running")
    for one in service.backends.values():
        assert isinstance(one, FakeBackend)
        one.log_texts[f"mt-{id}-a1"] = "epoch 1\t\x1b[2J\x9b2J\n"
    answers = [service.client().get(f"/api/trainings/{id}/log{query}").text for query in ("", "?raw=true")]
    assert answers == ["epoch 1\t\\x1b[2J\\x9b2J\n", "epoch 1\t\x1b[2J\x9b2J\n"]


def events(text: str) -> list[tuple[str, object, str]]:
    """Name, data and id of each event of a stream."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "event" in fields:
            found.append((fields["event"], json.loads(fields["data"]), fields.get("id", "")))
    return found


def test_a_stream_of_curves_goes_on_where_it_was(seen: Served) -> None:
    id = seen.training("completed")
    client = seen.client()
    whole = events(client.get(f"/api/events/curves?ids={id}&measures=val_loss").text)
    assert [name for name, _, _ in whole] == ["curves", "end"]
    assert whole[0][2] == str(EPOCHS)
    again = client.get(f"/api/events/curves?ids={id}&measures=val_loss", headers={"last-event-id": str(EPOCHS - 2)})
    (_, data, position), *_ = events(again.text)
    assert isinstance(data, list)
    assert data[0]["series"][0]["x"] == [EPOCHS - 1, EPOCHS]
    assert position == str(EPOCHS)
    nothing = events(client.get(f"/api/events/curves?ids={id}", headers={"last-event-id": str(EPOCHS)}).text)
    assert [name for name, _, _ in nothing] == ["end"]


def test_a_stream_of_a_training_ends_with_it(seen: Served) -> None:
    id = seen.training("completed")
    (name, state, _), *_, (last, _, _) = events(seen.client().get(f"/api/events/trainings/{id}?log=true").text)
    assert (name, last) == ("state", "end")
    assert isinstance(state, dict)
    assert (state["status"], state["done"]) == ("completed", EPOCHS)


def test_values_that_are_not_finite_are_gaps(service: Served) -> None:
    id = service.training("running")
    worst = a_result(18, val_loss=float("inf"), metrics={"top1_accuracy": float("nan")})
    document = {"_id": f"{id}:000018", "training_id": id, "attempt": 1, **worst.to_document()}
    primitives(service.store).insert("training_results", [document])
    (curve,) = service.client().get(f"/api/curves?ids={id}").json()["curves"]
    lasts = {series["measure"]: series["y"][-1] for series in curve["series"]}
    assert lasts["val_loss"] is lasts["top1_accuracy"] is None
    assert lasts["train_loss"] == 1 / 18


def test_many_curves_come_in_several_answers(seen: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "ANSWER_SECONDS", 0.0)
    ids = [seen.training(status) for status in ("completed", "failed", "running")]
    left, read = ids, []
    while left:
        answer = seen.client().get(f"/api/curves?ids={','.join(left)}").json()
        read += [curve["training_id"] for curve in answer["curves"]]
        assert answer["unread"] == left[1:]
        left = answer["unread"]
    assert read == ids


def test_the_pages_keep_the_room_of_the_charts(seen: Served) -> None:
    """Without a figure for each chart the page would move when its script draws them."""
    one, other = seen.training("completed"), seen.training("failed")
    page = seen.client().get(f"/trainings/{one}").text
    assert page.count('class="chart"') == 3  # loss, and two metrics
    assert re.search(r'<svg class="sparkline"[^>]*aria-label="train_loss last [^"]*, val_loss last [^"]*"', page)
    assert page.count("<polyline") == 4
    page = seen.client().get(f"/compare?ids={one},{other}").text
    assert page.count('class="chart"') == 4 and page.count('class="mark"') == 2


def test_trainings_side_by_side(seen: Served) -> None:
    one, other = seen.training("completed"), seen.training("failed")
    client = seen.client()
    page = client.get(f"/compare?ids={one},{other}").text
    assert "Settings that differ" in page and page.count('scope="row"') > 2
    short = client.get(f"/compare?ids={one[:9]}&with={other[:9]}", follow_redirects=False)
    assert short.headers["location"] == f"/compare?ids={one},{other}"
    assert "There is no training" in client.get(f"/compare?ids={one},ffffffff").text
    assert "Nothing to compare yet" in client.get("/compare").text
