"""Pages keep the places of what is seen while their scripts begin; the README's pictures are taken of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.verbs.trainings import TrainingFilter
from mitorch_service.viewer.api import curves
from scripts.page_pictures import THEMES, addresses, take
from tests.browser.conftest import Viewer

_OBSERVE = """
window.moved = 0;
new PerformanceObserver((list) => { for (const entry of list.getEntries()) moved += entry.value; })
  .observe({ type: "layout-shift", buffered: true });
"""
_SEEN = 0.01  # of Chromium's score; less is seen by nobody


def _completed(viewer: Viewer, count: int) -> list[str]:
    rows = viewer.store.trainings.list_trainings(TrainingFilter(TrainingStatus.COMPLETED), count).items
    return [row.id for row in rows]


@pytest.mark.parametrize(
    "address",
    [
        lambda viewer: f"/trainings/{_completed(viewer, 1)[0]}",
        lambda viewer: f"/compare?ids={','.join(_completed(viewer, 12))}",
    ],
    ids=["training", "comparison"],
)
def test_charts_are_drawn_where_their_room_is(
    page: Page, viewer: Viewer, address: Callable[[Viewer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves, "ANSWER_SECONDS", 0.0)  # each curve comes in an answer of its own
    page.goto(viewer.url + address(viewer))
    expect(page.locator(".chart canvas").last).to_be_attached()
    expect(page.locator(".chart-legend button:disabled")).to_have_count(0)
    page.evaluate(_OBSERVE)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("moved") < _SEEN


def test_pictures_are_taken_in_both_themes(browser: Browser, viewer: Viewer, tmp_path: Path) -> None:
    pages = {name: address for name, address in addresses(viewer.store).items() if name == "training"}
    pictures = take(browser, viewer.link, pages, tmp_path, milliseconds=0)
    assert [path.name for path in pictures] == [f"training-{theme}.png" for theme in THEMES]
    light, dark = (path.read_bytes() for path in pictures)
    assert light.startswith(b"\x89PNG") and dark.startswith(b"\x89PNG") and light != dark
