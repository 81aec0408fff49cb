"""Every page: no serious fault of accessibility, and no sideways scrolling, at three widths and in both themes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.trainings import TrainingFilter
from tests.browser.conftest import Viewer

_SERIOUS = ("serious", "critical")
_RUN = "async (options) => (await axe.run(document, options)).violations"


def _some(viewer: Viewer, status: TrainingStatus) -> str:
    return viewer.store.trainings.list_trainings(TrainingFilter(status), 1).items[0].id


def _several(viewer: Viewer) -> str:
    rows = viewer.store.trainings.list_trainings(TrainingFilter(TrainingStatus.COMPLETED), 12).items
    return ",".join(row.id for row in rows)


PAGES: dict[str, Callable[[Viewer], str]] = {
    "queue": lambda viewer: "/",
    "trainings": lambda viewer: "/trainings?columns=status,epoch,max_epochs,tag,config.model,val_loss",
    "no trainings": lambda viewer: "/trainings?q=name:nobody",
    "groups of trainings": lambda viewer: "/trainings?group=dataset&value=val_loss",
    "failed training": lambda viewer: f"/trainings/{_some(viewer, TrainingStatus.FAILED)}",
    "completed training": lambda viewer: f"/trainings/{_some(viewer, TrainingStatus.COMPLETED)}",
    "searches": lambda viewer: "/jobs",
    "search": lambda viewer: f"/jobs/{viewer.job}",
    "data sets": lambda viewer: "/datasets",
    "data set": lambda viewer: "/datasets/parts",
    "comparison": lambda viewer: f"/compare?ids={_several(viewer)}",
    "status": lambda viewer: "/status",
    "submit": lambda viewer: "/submit",
    "nothing to compare": lambda viewer: "/compare",
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_used_by_all(page: Page, viewer: Viewer, axe_source: str, name: str) -> None:
    page.goto(viewer.url + PAGES[name](viewer))
    for width in (2560, 1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{width} pixels"
    page.evaluate(axe_source)
    assert _faults(page, {"resultTypes": ["violations"]}) == []
    page.emulate_media(color_scheme="dark")
    assert _faults(page, {"resultTypes": ["violations"], "runOnly": ["color-contrast"]}) == []  # the rest is the same


def _faults(page: Page, options: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
    """The serious faults that axe finds, with where they are."""
    found = [one for one in page.evaluate(_RUN, options) if one["impact"] in _SERIOUS]
    return [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found]
