"""The table of trainings in a browser: suggestions, columns, selection by mouse and keys, orders for many."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import pytest
from playwright.sync_api import Page, expect

from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.requests import Guarded
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.browser.conftest import Viewer, serve_filled, signed_in
from tests.demo_service import fill
from tests.fakes import primitives
from tests.samples import a_training


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    """A service of its own: these tests change many trainings."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MITORCH_HOME", str(tmp_path_factory.mktemp("table")))
        yield from serve_filled(partial(fill, now=datetime.now(UTC), trainings=60, trials=6))


@pytest.fixture
def page(tab: Page, table: Viewer) -> Iterator[Page]:
    """A signed-in page."""
    yield from signed_in(tab, table)


def _count(viewer: Viewer, status: TrainingStatus) -> int:
    return len(viewer.store.trainings.list_trainings(TrainingFilter(status), 1000).items)


def test_a_filter_is_written_with_suggestions_and_columns_are_found(page: Page, table: Viewer) -> None:
    page.goto(f"{table.url}/trainings")
    box = page.get_by_label("Filter", exact=True)
    box.type("stat")
    expect(page.get_by_role("option").first).to_contain_text("status:")
    box.press("ArrowDown")
    box.press("Enter")
    box.type("fail")
    expect(page.get_by_role("option")).to_have_text([re.compile("failed")])
    box.press("ArrowDown")
    expect(box).to_have_attribute("aria-activedescendant", "suggestion-0")
    box.press("Enter")
    expect(box).to_have_value("status:failed ")
    box.press("Enter")
    page.wait_for_url(re.compile(r"/trainings\?q=status%3Afailed\+?$"))
    expect(page.locator("[data-table] tbody tr")).to_have_count(_count(table, TrainingStatus.FAILED))
    page.get_by_role("link", name="val_loss").click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("val_loss")
    page.go_back()
    expect(page.locator("th[aria-sort]")).to_have_count(0)
    page.goto(f"{table.url}/trainings?q=status:completed")
    page.locator("[data-columns] summary").click()
    page.get_by_label("Find a column").fill("best.top1")
    page.get_by_label("best.top1_accuracy").check()
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("link", name="best.top1_accuracy")).to_be_visible()
    expect(page.locator("[data-table] tbody tr").first).to_contain_text("0.9")


def test_rows_change_where_they_are_and_new_ones_are_counted(page: Page, table: Viewer) -> None:
    page.goto(f"{table.url}/trainings?q=status:running,completed")
    row = page.locator("[data-table] tbody tr[data-open]").first
    row.locator("input").check()
    id = str(row.get_attribute("data-id"))
    progress = {**table.store.trainings.get_row(id).progress.to_document(), "epoch": 23}  # type: ignore[union-attr]
    primitives(table.store).change(Guarded("trainings", id, {}, {"progress": progress}))
    expect(row).to_contain_text("23/30")
    expect(row).to_have_attribute("aria-selected", "true")
    count = page.locator("[data-table] tbody tr").count()
    now = time.time_ns() // 1000
    new = (TrainingStatus.RUNNING, TrainingStatus.NEW)
    table.store.queue.add_trainings([a_training(status=status, arrival=now + n) for n, status in enumerate(new)])
    expect(page.get_by_role("link", name="1 new")).to_be_visible()
    assert page.locator("[data-table] tbody tr").count() == count


def test_rows_are_selected_by_keys_and_with_shift(page: Page, table: Viewer) -> None:
    page.goto(f"{table.url}/trainings?q=status:completed&limit=10")
    count = page.locator("[data-selected-count]")
    boxes = page.locator("[data-table] tbody input")
    boxes.nth(1).click()
    boxes.nth(4).click(modifiers=["Shift"])
    expect(count).to_have_text("4 selected")
    page.keyboard.press("Shift+ArrowDown")
    expect(count).to_have_text("5 selected")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(count).to_have_text("6 selected")
    page.keyboard.press("Control+a")
    expect(count).to_have_text("10 selected")
    page.keyboard.press("Control+a")
    expect(count).to_have_text(f"All {_count(table, TrainingStatus.COMPLETED)} that match")
    page.keyboard.press("Escape")
    expect(page.locator("[data-selection]")).to_be_hidden()
    boxes.nth(0).click()
    boxes.nth(1).click()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/compare?ids=*")


def test_an_order_for_all_that_match_is_confirmed_and_counted(page: Page, table: Viewer) -> None:
    number = _count(table, TrainingStatus.NEW)
    assert number > 5
    page.goto(f"{table.url}/trainings?q=status:new&limit=5")
    page.get_by_label("Select all of this page").check()
    page.get_by_role("button", name=f"Select all {number} that match").click()
    page.locator("[data-bulk=cancel]").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Cancel {number} trainings?")
    dialog.get_by_role("button", name="Back").click()
    assert _count(table, TrainingStatus.NEW) == number
    page.locator("[data-bulk=cancel]").click()
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("None fits")).to_be_visible()
    assert _count(table, TrainingStatus.NEW) == 0


def test_refusals_are_listed_and_tags_are_set(page: Page, table: Viewer) -> None:
    page.goto(f"{table.url}/trainings?q=status:completed,failed&limit=1000")
    page.get_by_label("Select all of this page").check()
    page.locator("[data-bulk=tag]").click()
    page.get_by_role("dialog").get_by_label("Tag").fill("seen=yes")
    with page.expect_navigation():  # a moment after an action the page is loaded again
        page.keyboard.press("Enter")
    expect(page.locator("[data-table] tbody tr").first).to_contain_text("seen=yes")
    page.get_by_label("Select all of this page").check()
    page.locator("[data-bulk=retry]").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"{_count(table, TrainingStatus.COMPLETED)} left as they are")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
