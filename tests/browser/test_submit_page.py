"""The page for submitting: problems beside their lines while one types, then the queue."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Viewer

WRONG = """{
  "dataset": "parts",
  "model": {"name": "resnet18"},
  "optimizer": {"nam": "<img src=x onerror=alert(1)>"}
}"""


def test_a_config_is_checked_as_it_is_typed_and_queued(page: Page, viewer: Viewer, tmp_path: Path) -> None:
    page.goto(viewer.url)
    page.get_by_role("link", name="Submit").click()
    queue = page.get_by_role("button", name="Queue it")
    expect(queue).to_be_disabled()
    page.get_by_label("Config", exact=True).fill(WRONG)
    expect(page.locator("#verdict")).to_have_text("1 problem")
    expect(page.locator("#gutter .is-wrong")).to_have_text("4")
    page.get_by_role("button", name="line 4 · optimizer.nam").click()
    text = page.get_by_label("Config", exact=True)
    assert text.evaluate("one => one.value.slice(one.selectionStart, one.selectionStart + 5)") == '"nam"'
    file = tmp_path / "config.yaml"
    file.write_text("dataset: parts\nmodel: {name: resnet18}\nmax_epochs: 3\n")
    page.locator("#file").set_input_files(file)
    expect(page.locator("#format")).to_have_text("YAML")
    expect(page.locator("#verdict")).to_have_text("A training, ready to queue")
    expect(page.locator("#explanation")).to_contain_text("One training on parts:2, 3 epochs")
    page.get_by_role("textbox", name="Name").fill("from the page")
    page.get_by_label("Tags").fill("team=x stage=try")
    expect(queue).to_be_enabled()
    queue.click()
    page.wait_for_url("**/trainings/*")
    training = viewer.store.trainings.get_training(page.url.rpartition("/")[2])
    assert (training.name, training.tags, training.max_epochs) == ("from the page", ["team=x", "stage=try"], 3)
    page.keyboard.press("/")
    page.keyboard.type(training.id[:10])
    with page.expect_navigation(url=f"**/trainings/{training.id}"):
        page.keyboard.press("Enter")
