"""The page of a search in a browser: axes and fields choose trials, the table sorts, orders are carried out."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Viewer

_FIRST = "table[data-trials] tbody tr:first-child"


def open_search(page: Page, viewer: Viewer) -> None:
    """Opens the page, and waits until nothing more comes that could move what is clicked."""
    page.goto(f"{viewer.url}/jobs/{viewer.job}")
    expect(page.locator("[data-missing], .pending, svg[data-weighing]")).to_have_count(0, timeout=60_000)
    expect(page.locator(".parallel canvas")).to_be_visible()


def test_dragging_along_an_axis_chooses_what_the_table_shows(page: Page, viewer: Viewer) -> None:
    open_search(page, viewer)
    expect(page.locator("[data-trials-count]")).to_have_text("1–40 of 40")
    grips = page.locator(".parallel .grip")
    assert grips.count() == 4  # three parameters and the objective
    grips.last.scroll_into_view_if_needed()
    box = grips.last.bounding_box()
    assert box is not None
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(x, box["y"] + box["height"] / 3, steps=3)
    page.mouse.up()
    expect(page.locator(".parallel-note")).to_have_text(re.compile(r"^[1-9]\d? of 40 trials chosen\."))
    expect(page.locator("[data-trials-count]")).to_have_text(re.compile(r"chosen from 40"))
    assert all(text == "completed" for text in page.locator("table[data-trials] .pill").all_inner_texts())
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("[data-trials-count]")).to_have_text("1–40 of 40")


def test_the_same_is_done_by_keyboard(page: Page, viewer: Viewer) -> None:
    open_search(page, viewer)
    page.locator("summary", has_text="Choose by values").focus()
    page.keyboard.press("Enter")
    field = page.get_by_label("lr_scheduler.base_lr, most")
    field.fill("0.001")
    field.press("Tab")
    rates = [row.trial.parameters["lr_scheduler.base_lr"] for row in viewer.store.jobs.latest_trials(viewer.job, 99)]
    expected = sum(isinstance(rate, float) and rate <= 0.001 for rate in rates)
    expect(page.locator("[data-trials-count]")).to_have_text(f"1–{expected} of {expected} chosen from 40")
    page.locator(".brushes select").select_option("resnet50")
    models = page.locator("table[data-trials] tbody tr td:nth-child(5)")
    expect(models.first).to_have_text("resnet50")
    assert set(models.all_inner_texts()) == {"resnet50"}


def test_the_table_sorts_and_charts_switch_and_a_trial_leads_to_its_page(page: Page, viewer: Viewer) -> None:
    open_search(page, viewer)
    best = viewer.store.jobs.best_trials(viewer.job, "maximize", 1).items[0].trial
    assert best is not None
    expect(page.locator(f"{_FIRST} th")).to_have_text(str(best.number))
    page.locator("table[data-trials] th", has_text="Trial").get_by_role("link").click()
    expect(page.locator(f"{_FIRST} th")).to_have_text("0")
    page.locator("table[data-trials] th", has_text="Trial").get_by_role("link").click()
    expect(page.locator(f"{_FIRST} th")).to_have_text("39")
    expect(page.locator("[data-part=hours]")).to_be_hidden()
    page.get_by_role("button", name="Time", exact=True).click()
    expect(page.locator("[data-part=hours]")).to_be_visible()
    page.get_by_label("Up").select_option("model.name")
    expect(page.locator("[aria-labelledby=contour] svg")).to_have_attribute("aria-label", re.compile("model.name"))
    page.locator(f"{_FIRST} th a").click()
    expect(page).to_have_title(re.compile(r" · lr and model · MiTorch$"))
    page.wait_for_url("**/trainings/*")
