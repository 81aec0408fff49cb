"""Every page: no serious fault of accessibility, no sideways scrolling, at three widths and in both themes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Viewer

PAGES = ("/",)
_SERIOUS = ("serious", "critical")
_RUN = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault(page: Page, viewer: Viewer, axe_source: str, address: str, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.goto(viewer.url + address)
    page.evaluate(axe_source)
    found = [one for one in page.evaluate(_RUN) if one["impact"] in _SERIOUS]
    assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found] == []


@pytest.mark.parametrize("width", [390, 1280, 2560])
@pytest.mark.parametrize("address", PAGES)
def test_a_page_is_as_wide_as_its_window(page: Page, viewer: Viewer, address: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(viewer.url + address)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
