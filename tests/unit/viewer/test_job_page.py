"""The pages of searches and their part of the API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mitorch_service.insights.search.search_findings import Share
from mitorch_service.insights.search.search_insight import SearchInsight
from mitorch_service.insights.search.search_view import Importance, SearchView
from mitorch_service.models.base import new_id
from mitorch_service.models.search.job import trial_id
from mitorch_service.models.status import JobStatus
from mitorch_service.stores.requests import Guarded
from mitorch_service.viewer.live.search_views import SearchViews
from tests.fakes import primitives
from tests.samples import a_job, a_training
from tests.served import NOW, Served, served

HOSTILE = "<script>alert(1)</script>"


def importance(insight: SearchInsight, view: SearchView) -> Importance:
    """In place of the forests, which take seconds."""
    shares = {name: {"lr_scheduler.base_lr": Share(0.8, 0.7, 0.9)} for name in view.job.search.objectives()}
    return Importance(shares, 10, view.results)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Served]:
    yield from _serve(tmp_path)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from _serve(tmp_path_factory.mktemp("seen"))


def _serve(folder: Path) -> Iterator[Served]:
    with served(folder, trainings=12, trials=12) as made:
        made.app.state.search_views = SearchViews(importance)
        yield made


def settled(service: Served) -> str:
    """The page, once the trials have been read."""
    service.client().get(f"/api/jobs/{service.job}/trials")
    return service.client().get(f"/jobs/{service.job}").text


def test_the_page_reads_without_scripts(seen: Served) -> None:
    page = settled(seen)
    assert re.search(r"<title>9/60 trials, best 0\.9\d+ · lr and model", page)
    assert page.count('class="plot-svg') >= 8  # three histories, importance, slices, contour, curves, timeline
    assert "lr_scheduler.base_lr mattered most: 80% of the variation" in page
    assert 'aria-label="Importance for top1_accuracy' in page
    assert page.count("<tr>") >= 12
    best = seen.store.jobs.get_job(seen.job).best
    assert best is not None and f'href="/trainings/{best.training_id}"' in page
    assert "/compare?ids=" in page


@pytest.mark.parametrize("name", ["lr_scheduler.base_lr", "optimizer.weight_decay"])
def test_a_parameter_chosen_for_both_directions_is_shown_with_another_one(seen: Served, name: str) -> None:
    settled(seen)
    page = seen.client().get(f"/jobs/{seen.job}?x={name}&y={name}").text
    section = page.partition('aria-labelledby="contour"')[2].partition("</section>")[0]
    chosen = re.findall(r"<option selected>([^<]+)", section)
    assert len(set(chosen)) == 2
    assert chosen[1] == name
    assert 'class="plot-svg' in section


def test_the_beginning_of_an_id_and_a_trials_number_lead_to_their_pages(seen: Served) -> None:
    client = seen.client()
    answer = client.get(f"/jobs/{seen.job[:8]}", follow_redirects=False)
    assert answer.headers["location"] == f"/jobs/{seen.job}"
    training = seen.training("completed")
    assert client.get(f"/jobs/{training}", follow_redirects=False).headers["location"] == f"/trainings/{training}"
    trial = client.get(f"/jobs/{seen.job}/trials/3", follow_redirects=False)
    assert trial.headers["location"] == f"/trainings/{trial_id(seen.job, 3)}"
    assert client.get("/jobs/no-job/trials/3").status_code == 404
    assert client.get("/jobs/ffffffff").status_code == 404


def test_trials_are_sorted_by_what_the_address_says(seen: Served) -> None:
    settled(seen)

    def numbers(sort: str) -> list[int]:
        page = seen.client().get(f"/jobs/{seen.job}", params={"sort": sort}).text
        return [int(number) for number in re.findall(r'<th scope="row" class="number"><a [^>]*>(\d+)</a>', page)]

    assert numbers("-number") == [*range(11, -1, -1)]
    data = seen.client().get(f"/api/jobs/{seen.job}/trials").json()
    rates = next(one["values"] for one in data["columns"] if one["name"] == "lr_scheduler.base_lr")
    assert numbers("lr_scheduler.base_lr") == sorted(range(12), key=lambda number: rates[number])
    assert numbers("no such thing") == numbers("value")


def test_a_search_whose_trials_are_not_read_yet_shows_its_leaders(service: Served) -> None:
    views = SearchViews(importance)
    views.view = lambda *_: None  # type: ignore[method-assign]
    service.app.state.search_views = views
    page = service.client().get(f"/jobs/{service.job}").text
    assert "12 trials are being read" in page
    rows = service.store.jobs.best_trials(service.job, "maximize", 50).items
    assert page.count('<th scope="row"') == len(rows) > 0
    assert service.client().get(f"/jobs/{service.job}/charts").status_code == 202
    with served(service.settings.home / "young", 1, 1) as young:  # of which the only trial waits
        young.app.state.search_views = views
        page = young.client().get(f"/jobs/{young.job}").text
        assert "data-trials>" in page and "No trials yet" not in page  # a script fills the table


def test_texts_of_people_are_texts(service: Served) -> None:
    client = service.client()
    name = f"{HOSTILE} mongodb://u:geheim-1@h/"
    answer = client.patch(f"/api/jobs/{service.job}", json={"name": name, "note": name, "add_tags": [f"a={HOSTILE}"]})
    assert answer.status_code == 200
    odd = a_training(id=trial_id(service.job, 99), job_id=service.job).to_document()
    row = service.store.jobs.latest_trials(service.job, 1)[0]
    trial = {**row.trial.to_document(), "number": 99, "parameters": {HOSTILE: HOSTILE, "model.name": HOSTILE}}
    error = {"type": "E", "message": name, "log_tail": []}
    primitives(service.store).insert("trainings", [{**odd, "trial": trial, "status": "failed", "error": error}])
    for text in (settled(service), client.get("/jobs").text, client.get(f"/api/jobs/{service.job}/trials").text):
        assert "geheim-1" not in text
    assert HOSTILE not in settled(service) + client.get("/jobs").text
    assert "&lt;script&gt;" in settled(service)


def test_the_list_is_paged_by_key_and_filtered_by_name(service: Served) -> None:
    for number in range(60):
        job = a_job(id=new_id(), name=f"sweep {number}", arrival=10 + number)
        service.store.jobs.add_job(job)
    client = service.client()
    first = client.get("/jobs").text
    assert first.index("lr and model") < first.index("sweep 59") and "sweep 10<" not in first
    older = re.search(r'href="(/jobs\?after=[^"]*)" rel="next"', first)
    assert older is not None
    second = client.get(older[1].replace("&amp;", "&")).text
    assert "sweep 10<" in second and "sweep 59" not in second and 'rel="next"' not in second
    found = client.get("/jobs", params={"q": "SWEEP 5"}).text
    assert found.count(">sweep 5") == 11
    assert ">sweep 7<" in client.get("/jobs?q=sweep%207").text
    assert "No search has that name" in client.get("/jobs?q=nothing").text
    assert client.get("/jobs?after=x").status_code == 400


def test_several_objectives_have_a_front(service: Served) -> None:
    rows = service.store.jobs.latest_trials(service.job, 20)
    search = {"objective": ["top1_accuracy", "val_loss"], "max_trials": 60, "seed": 1}
    primitives(service.store).change(Guarded("jobs", service.job, {"name": ("lr and model",)}, {"search": search}))
    for row in rows:
        values = [row.trial.number % 5, row.trial.number % 7]
        trial = {**row.trial.to_document(), "value": None, "objectives": search["objective"], "values": values}
        primitives(service.store).change(Guarded("trainings", row.id, {"attempt": (0, 1)}, {"trial": trial}))
    page = settled(service)
    data = service.client().get(f"/api/jobs/{service.job}/trials").json()
    assert data["directions"] == ["maximize", "minimize"] and len(data["values"]) == 2
    assert 'id="front"' in page and f"<b>{len(data['front'])}</b>" in page
    assert page.count('class="is-front"') == len(data["front"]) > 0


def test_orders_are_offered_where_they_can_be_carried_out(service: Served) -> None:
    def offered() -> set[str]:
        return set(re.findall(r'data-action="(\w+)"', settled(service)))

    pruned = service.store.trainings.count_trainings(service.job).get("pruned", 0)
    assert offered() == ({"cancel", "retry"} if pruned else {"cancel"})
    assert service.client().post(f"/api/jobs/{service.job}/retry").json()["trials"] == pruned
    service.store.jobs.finish_job(service.job, JobStatus.FAILED, NOW, "too many failed", {}, None)
    assert offered() == {"delete"}
    assert settled(service).index("too many failed") < settled(service).index("Best so far")
    with served(service.settings.home / "other", 1, 5, read_only=True) as reading:
        page = reading.client().get(f"/jobs/{reading.job}").text
        assert "data-action" not in page and "data-note" not in page and "data-share" not in page


def test_the_api_gives_columns_and_importance(seen: Served) -> None:
    client = seen.client()
    data = client.get(f"/api/jobs/{seen.job[:10]}/trials").json()
    assert data["numbers"] == [*range(12)] and data["whole"]
    assert {len(column["values"]) for column in data["columns"]} == {12}
    rate = next(one for one in data["columns"] if one["name"] == "lr_scheduler.base_lr")
    assert (rate["log"], rate["low"], rate["high"], rate["options"]) == (True, 1e-4, 1e-1, [])
    model = next(one for one in data["columns"] if one["name"] == "model.name")
    assert len(model["options"]) == 3
    found = client.get(f"/api/jobs/{seen.job}/importance").json()
    assert found["objectives"]["top1_accuracy"][0] == {
        "parameter": "lr_scheduler.base_lr",
        "share": 0.8,
        "low": 0.7,
        "high": 0.9,
    }
    assert client.get("/api/jobs/ffffffff/trials").status_code == 404


def test_events_of_an_ended_search_come_to_an_end(service: Served) -> None:
    service.store.jobs.finish_job(service.job, JobStatus.CANCELED, NOW, None, {"completed": 2}, None)
    settled(service)
    text = service.client().get(f"/api/events/jobs/{service.job}").text
    names = re.findall(r"^event: (\w+)$", text, re.MULTILINE)
    assert names == ["state", "importance", "end"]
    state = json.loads(text.split("data: ")[1].split("\n")[0])
    assert (state["status"], state["ended"], state["max_trials"]) == ("canceled", True, 60)
