"""The page of a training in a browser: curves grow while it runs, its log is followed, its orders are carried out."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.requests import Guarded
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.browser.conftest import Viewer
from tests.demo_service import EPOCHS
from tests.fakes import primitives
from tests.samples import a_result

_LAST = "() => document.querySelectorAll('.chart').length"


def report(viewer: Viewer, id: str, epoch: int) -> None:
    """An epoch as its run reports it."""
    row = viewer.store.trainings.get_row(id)
    document = {"_id": f"{id}:{epoch:06d}", "training_id": id, "attempt": 1, **a_result(epoch).to_document()}
    primitives(viewer.store).insert("training_results", [document])
    progress = {**(row.progress.to_document() if row.progress else {}), "epoch": epoch}
    primitives(viewer.store).change(Guarded("trainings", id, {"attempt": (1,)}, {"progress": progress}))


def test_curves_and_title_follow_a_running_training(page: Page, viewer: Viewer) -> None:
    id = viewer.store.trainings.list_trainings(TrainingFilter(TrainingStatus.RUNNING), 1).items[0].id
    page.goto(f"{viewer.url}/trainings/{id}")
    expect(page.locator(".chart canvas").first).to_be_attached()
    assert page.evaluate(_LAST) == 3  # loss with both lines, and two metrics
    expect(page).to_have_title(re.compile(rf"running 17/{EPOCHS}"))
    report(viewer, id, 18)
    expect(page).to_have_title(re.compile(rf"running 18/{EPOCHS}"))
    expect(page.locator(".chart").first).to_have_attribute("aria-label", re.compile(r"val_loss 0\.08333"))


def test_axes_scales_and_smoothing_redraw(page: Page, viewer: Viewer) -> None:
    rows = viewer.store.trainings.list_trainings(TrainingFilter(TrainingStatus.COMPLETED), 5).items
    page.goto(f"{viewer.url}/compare?ids={','.join(row.id for row in rows)}")
    expect(page.locator(".chart-legend button")).to_have_count(5)
    for name in ("time", "cost", "log", "epoch"):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.locator(".chart canvas").first).to_be_attached()
    page.get_by_label("Smoothing").fill("0.8")
    page.locator(".chart-legend button").first.click()
    expect(page.locator(".chart-legend button").first).to_have_attribute("aria-pressed", "false")
    page.locator(".chart .u-over").first.hover()
    expect(page.locator(".chart-tip").first).to_be_visible()


def test_many_tabs_leave_each_other_connections(page: Page, viewer: Viewer) -> None:
    """A page has two streams, and a browser opens six connections to a host."""
    id = viewer.store.trainings.list_trainings(TrainingFilter(TrainingStatus.RUNNING), 1).items[0].id
    tabs = [page, *(page.context.new_page() for _ in range(2))]
    for tab in tabs:  # all are seen: nothing is hidden without a screen
        tab.goto(f"{viewer.url}/trainings/{id}", wait_until="load")
        expect(tab.locator(".chart canvas").first).to_be_attached()
    page.wait_for_function(
        "navigator.locks.query().then((locks) => locks.held.length === 4 && locks.pending.length === 4)"
    )
