"""Every order, while a real training runs; on the second database those that wait for what changes there, unless
`-m long` asks for all (its pages: tests/contracts/viewer/test_viewer_pages.py)."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pymongo
import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from mitorch_service.errors import NotFound
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.browser.addresses import some
from tests.browser.conftest import Viewer, new_tab, serve_filled, signed_in
from tests.demo_service import fill
from tests.samples import a_job
from tests.warm.command import Command

_FIT = """
import pathlib, sys, time
import mitorch_service

for epoch in range(1, 4):
    while not pathlib.Path(sys.argv[1], f"epoch-{epoch}").exists():
        time.sleep(0.05)
    print("now epoch", epoch, flush=True)
    mitorch_service.report(epoch=epoch, train_loss=1 / epoch, val_loss=2 / epoch)
"""
_STAY = "window.setTimeout = ((wait) => (call, ms) => (ms === 900 ? 0 : wait(call, ms)))(window.setTimeout);"
_CONFIG = '{"dataset": "parts", "model": {"name": "resnet18"}, "max_epochs": 3}'
_SECONDS = 60.0


@dataclass
class Site(Viewer):
    """A filled service, in which a training really runs; its program waits in this folder for its next epoch."""

    folder: Path
    real: str

    def status(self, id: str) -> TrainingStatus:
        return self.store.trainings.get_row(id).status

    def go_on(self, epoch: int) -> None:
        """Lets the training report this epoch."""
        (self.folder / f"epoch-{epoch}").touch()


@pytest.fixture(scope="module", params=["sqlite", "mongo"])
def database_environment(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The settings of each database."""
    if request.param == "sqlite":
        yield {}
        return
    uri, name = request.getfixturevalue("mongodb_uri"), f"mitorch_browser_{os.getpid()}"
    yield {"MITORCH_DB_URI": uri, "MITORCH_DB_NAME": name}
    with pymongo.MongoClient[dict[str, object]](uri) as client:
        client.drop_database(name)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, database_environment: dict[str, str]) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    clusters = json.dumps([{"name": "local", "kind": "local", "slots": 1}])  # which the training takes
    ours = {"MITORCH_HOME": str(folder), "HOME": str(folder), "MITORCH_CLUSTERS": clusters, **database_environment}
    with pytest.MonkeyPatch.context() as environment:
        for variable, value in ours.items():
            environment.setenv(variable, value)
        for viewer in serve_filled(partial(_fill, folder=folder, environment={**os.environ})):
            real = some(viewer, TrainingStatus.NEW)
            controller = Command(["control", "run", "--every", "60"], {**os.environ}, folder, merged=True)
            yield Site(viewer.url, viewer.store, viewer.job, folder, real)
            controller.send_signal(signal.SIGINT)
            for epoch in range(1, 4):
                (folder / f"epoch-{epoch}").touch()
            controller.communicate(timeout=_SECONDS)


def _fill(store: Store, folder: Path, environment: dict[str, str]) -> str:
    """Returns what `fill` adds, a search that has ended, and the training that will run."""
    job = fill(store, datetime.now(UTC), trainings=27, trials=6)
    store.jobs.add_job(a_job(name="old", status=JobStatus.COMPLETED, dataset=DatasetRef(name="parts", version=1)))
    (folder / "fit.py").write_text(_FIT)
    script = {"command": f"{sys.executable} {folder / 'fit.py'} {folder}"}
    (folder / "fit.json").write_text(json.dumps({"script": script, "max_epochs": 3}))
    submit = Command(["submit", "fit.json", "--name", "real", "--priority", "-1"], environment, folder, merged=True)
    out, _ = submit.communicate(timeout=_SECONDS)
    assert submit.returncode == 0, out
    return job


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """One page that stays as it is after an order, instead of loading itself again after a while."""
    yield from new_tab(browser, _STAY)


@pytest.fixture
def page(tab: Page, site: Site) -> Iterator[Page]:
    """A signed-in page, whose questions are answered with yes."""

    def agree(dialog: Dialog) -> None:
        dialog.accept()

    tab.on("dialog", agree)
    yield from signed_in(tab, site)
    tab.remove_listener("dialog", agree)


def order(page: Page, button: str, told: str) -> None:
    """Presses a button, and waits for what the page says of it."""
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.locator(".toast", has_text=told)).to_be_visible()


def _until(page: Page, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < end
        page.wait_for_timeout(50)


_BOTH = pytest.mark.parametrize(
    "database_environment", ["sqlite", pytest.param("mongo", marks=pytest.mark.long)], indirect=True
)


@_BOTH
def test_orders_for_a_training(page: Page, site: Site) -> None:
    id = some(site, TrainingStatus.DIVERGED)
    page.goto(f"{site.url}/trainings/{id}")
    page.get_by_role("textbox", name="Note").fill("bad images, see <b>ticket</b> 7")
    order(page, "Save", "The note is saved.")
    assert site.store.trainings.get_row(id).user_note == "bad images, see <b>ticket</b> 7"
    order(page, "Retry", "It is queued again.")
    assert site.status(id) == TrainingStatus.NEW
    page.reload()
    order(page, "Cancel", "It is being canceled.")
    assert site.status(id) == TrainingStatus.CANCELED
    page.reload()
    order(page, "Delete", "It is deleted.")
    with pytest.raises(NotFound):
        site.status(id)


@_BOTH
def test_a_page_is_shared_with_somebody_without_the_token(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/trainings/{some(site, TrainingStatus.COMPLETED)}")
    heading = page.locator("h1").inner_text()
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("[data-share-link]")
    expect(link).to_have_text(re.compile("^http"))
    address = link.inner_text()
    page.context.clear_cookies()
    page.goto(address)
    expect(page.locator("h1")).to_have_text(heading)
    expect(page.locator("[data-action]")).to_have_count(0)


@_BOTH
def test_orders_for_a_search(page: Page, site: Site) -> None:
    def now() -> Job:
        return site.store.jobs.get_job(site.job)

    trial = site.store.jobs.latest_trials(site.job, 1)[0].id
    site.store.queue.request_cancel(trial, datetime.now(UTC))
    page.goto(f"{site.url}/jobs/{site.job}")
    page.get_by_label("Priority: lower starts first").fill("30")
    order(page, "Set", "The priority is set.")
    page.get_by_label("New tag").fill("stage=late")
    for button in ("Add", "Remove stage=late"):
        with page.expect_event("load"):  # before it, buttons do nothing
            page.get_by_role("button", name=button).click()
    expect(page.get_by_role("button", name="Remove stage=late")).to_have_count(0)
    assert (now().priority, now().tags) == (30, ["team=vision"])
    order(page, "Retry trials", "The trials are queued again.")
    assert site.status(trial) == TrainingStatus.NEW
    page.reload()
    order(page, "Cancel", "It is being canceled.")
    assert site.status(trial) == TrainingStatus.CANCELED
    page.goto(f"{site.url}/jobs")
    with page.expect_event("load"):
        page.get_by_role("link", name="old").click()
    expect(page.locator("[data-missing], .pending")).to_have_count(0)  # else it asks for its charts when it is gone
    order(page, "Delete", "It is deleted.")
    assert [job.id for job in site.store.jobs.list_jobs(9).items] == [site.job]


@_BOTH
def test_orders_for_many(page: Page, site: Site) -> None:
    ids = {row.id for row in site.store.trainings.list_trainings(TrainingFilter(TrainingStatus.FAILED), 9).items}

    def do(action: str, told: str, label: str = "", value: str = "") -> None:
        page.get_by_label("Select all of this page").check()
        page.locator(f"[data-bulk={action}]").click()
        if label:
            page.get_by_role("dialog").get_by_label(label).fill(value)
        page.keyboard.press("Enter")
        expect(page.locator(".toast")).to_have_text(f"{len(ids)} trainings {told}.")

    page.goto(f"{site.url}/trainings?q=status:failed")
    do("tag", "tagged", "Tag", "seen=yes")
    page.goto(f"{site.url}/trainings?q=tag:seen=yes")
    page.get_by_label("Select all of this page").check()
    with page.expect_download() as download:
        page.locator("[data-bulk=export]").click()
    assert len(download.value.path().read_text("utf-8").splitlines()) == len(ids) + 1
    do("retry", "queued again")
    page.reload()
    do("priority", "changed", "Priority", "70")
    assert {(row.status, row.priority) for row in map(site.store.trainings.get_row, ids)} == {(TrainingStatus.NEW, 70)}
    page.reload()
    do("cancel", "canceled")
    assert {site.status(id) for id in ids} == {TrainingStatus.CANCELED}
    page.reload()
    do("delete", "deleted")
    page.reload()
    expect(page.get_by_text("None fits")).to_be_visible()


@_BOTH
def test_a_view_is_saved_and_removed(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/trainings?q=status:completed&sort=-val_loss")
    page.locator("summary", has_text="Views").click()
    page.get_by_label("Save this one as").fill("the <b>best</b>")
    order(page, "Save", "is saved")
    page.goto(f"{site.url}/trainings")
    page.locator("summary", has_text="Views").click()
    with page.expect_event("load"):
        page.get_by_role("link", name="the <b>best</b>").click()
    expect(page.get_by_label("Filter", exact=True)).to_have_value("status:completed")
    page.locator("summary", has_text="Export").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename == "trainings.csv"
    page.locator("summary", has_text="Views").click()
    page.get_by_role("button", name="Remove the view").click()
    expect(page.get_by_role("link", name="the <b>best</b>")).to_have_count(0)
    assert site.store.views.list_views().items == []


def test_orders_of_the_queue(page: Page, site: Site) -> None:
    page.goto(site.url)
    row = page.locator("[data-rows=waiting] tr").nth(2)
    id = str(row.get_attribute("data-id"))
    row.locator(".handle").focus()
    page.keyboard.press("Alt+Home")
    _until(page, lambda: site.store.queue.queue_head(1).items[0].id == id)
    page.locator(f"[data-rows=waiting] tr[data-id='{id}'] [data-row-action=cancel]").click()
    page.locator(f"[data-rows=ended] tr[data-id='{id}'] [data-row-action=retry]").click()
    expect(page.locator(f"[data-rows=waiting] tr[data-id='{id}']")).to_be_visible()
    assert site.status(id) == TrainingStatus.NEW


def test_a_config_is_queued_and_compared(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/submit")
    page.get_by_label("Config", exact=True).fill(_CONFIG)
    page.get_by_role("textbox", name="Name").fill("typed")
    page.get_by_role("button", name="Queue it").click()
    page.wait_for_url("**/trainings/*")
    with page.expect_event("load"):
        page.get_by_role("link", name="Compare").click()
    page.get_by_label("Add a training").fill("real")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("[data-compare] .chart-legend li")).to_have_count(2)


def test_a_real_training_is_followed(page: Page, site: Site) -> None:
    _until(page, lambda: site.status(site.real) == TrainingStatus.RUNNING)  # a page from before would load itself again
    page.goto(f"{site.url}/trainings/{site.real}")
    expect(page.locator(".pill").first).to_have_text("running", timeout=_SECONDS * 1000)
    for epoch in (1, 2):
        site.go_on(epoch)
        expect(page).to_have_title(re.compile(f"running {epoch}/3"), timeout=_SECONDS * 1000)
    expect(page.locator(".chart").first).to_have_attribute("aria-label", re.compile("val_loss 1"))
    expect(page.locator("[data-log]")).to_contain_text("now epoch 2")
    page.goto(site.url)
    row = page.locator(f"[data-rows=running] tr[data-id='{site.real}']")
    expect(row).to_contain_text("2/3")
    site.go_on(3)
    expect(page.locator(f"[data-rows=ended] tr[data-id='{site.real}']")).to_contain_text("completed")
