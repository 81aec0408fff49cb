"""Every page: no serious fault of accessibility, and no sideways scrolling, at three widths and in both themes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.addresses import PAGES
from tests.browser.conftest import SIZE, Viewer

_SERIOUS = ("serious", "critical")
_RUN = "async (options) => (await axe.run(document, options)).violations"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_used_by_all(page: Page, viewer: Viewer, axe_source: str, name: str) -> None:
    page.goto(viewer.url + PAGES[name](viewer))
    for width in (SIZE["width"], 2560, 390):
        page.set_viewport_size({"width": width, "height": SIZE["height"]})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{width} pixels"
    page.evaluate(axe_source)
    assert _faults(page, {"resultTypes": ["violations"]}) == []
    page.emulate_media(color_scheme="dark")
    assert _faults(page, {"resultTypes": ["violations"], "runOnly": ["color-contrast"]}) == []  # the rest is the same


def _faults(page: Page, options: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
    """The serious faults that axe finds, with where they are."""
    found = [one for one in page.evaluate(_RUN, options) if one["impact"] in _SERIOUS]
    return [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found]
