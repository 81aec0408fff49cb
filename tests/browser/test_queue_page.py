"""The queue in a browser: its order by drag and by keys, taken back, and what comes while it is open."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from playwright.sync_api import Page, expect

from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from tests.browser.conftest import Viewer, serve_filled, signed_in
from tests.demo_service import fill
from tests.samples import a_training

_PLACES = "[data-rows=waiting] tr"


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    """A service of its own: these tests change its order."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MITORCH_HOME", str(tmp_path_factory.mktemp("queue")))
        yield from serve_filled(partial(fill, now=datetime.now(UTC), trainings=4, trials=6))


@pytest.fixture
def page(tab: Page, queue: Viewer) -> Iterator[Page]:
    """The queue with five trainings of one priority that wait, named a to e."""
    for row in queue.store.queue.queue_head(100).items:
        queue.store.queue.request_cancel(row.id, datetime.now(UTC))
    queue.store.queue.add_trainings([_named(name, number) for number, name in enumerate("abcde")])
    for page in signed_in(tab, queue):
        page.goto(queue.url)
        yield page


def _named(name: str, number: int) -> Training:
    at = datetime.now(UTC) - timedelta(minutes=10)
    return a_training(name=name, created_at=at, arrival=int(at.timestamp() * 1e6) + number, status_times={"new": at})


def _names(store: Store) -> str:
    return "".join(str(row.name) for row in store.queue.queue_head(100).items)


def _shown(page: Page) -> str:
    return "".join(page.locator(f"{_PLACES} .name a").all_text_contents())


def _until(page: Page, queue: Viewer, order: str) -> None:
    """Waits for the order on the page and in the database."""
    names = [str(letter) for letter in order]
    expect(page.locator(f"{_PLACES} .name a")).to_have_text(names)
    for _ in range(60):
        if _names(queue.store) == order:
            return
        page.wait_for_timeout(50)
    assert _names(queue.store) == order


def test_a_training_is_dragged_to_another_place_and_back_by_undo(page: Page, queue: Viewer) -> None:
    assert _shown(page) == "abcde"
    handle, goal = page.locator(f"{_PLACES} .handle").nth(4), page.locator(_PLACES).nth(1)
    handle.scroll_into_view_if_needed()
    begin, end = handle.bounding_box(), goal.bounding_box()
    assert begin is not None and end is not None
    page.mouse.move(begin["x"] + 5, begin["y"] + 5)
    page.mouse.down()
    page.mouse.move(end["x"] + 20, end["y"] + 4, steps=6)
    page.mouse.up()
    _until(page, queue, "aebcd")
    expect(page.locator(".toast")).to_contain_text("e is at place 2, with priority 99. Its neighbours had equal")
    assert {row.name: row.priority for row in queue.store.queue.queue_head(9).items} == dict(
        a=99, e=99, b=100, c=100, d=100
    )
    page.get_by_role("button", name="Undo").click()
    _until(page, queue, "abcde")


def test_every_move_changes_what_it_must(page: Page) -> None:
    """The pure function, in queues of mixed priorities; where more follow, the last one shown stays."""
    wrong = page.evaluate(
        """async () => {
          const {changesFor} = await import('/static/js/queue_order.js');
          const before = (a, b) => a.priority !== b.priority ? a.priority < b.priority : a.arrival < b.arrival;
          const wrong = [];
          for (const priorities of [[1,2,3,4,5,6], [7,7,7,7,7,7], [1,1,2,2,3,3], [1,50,50,50,51,99], [-3,-3,0,9,9,9]])
            for (let move = 0; move < 72; move += 1) {
              const from = move % 6, to = Math.floor(move / 6) % 6, more = move >= 36;
              const rows = priorities.map((priority, n) => ({id: `${n}`, priority, arrival: BigInt(n)}));
              const [row] = rows.splice(from, 1);
              rows.splice(to, 0, row);
              const changes = changesFor(rows, to, more);
              const after = rows.map((one) => ({...one, ...changes.find(({id}) => id === one.id)}));
              const last = rows[5] !== row && more && changes.some(({id}) => id === rows[5].id);
              if (!after.every((one, n) => !n || before(after[n - 1], one)) || last || (from === to && changes.length))
                wrong.push({priorities, from, to, more, changes});
            }
          return wrong;
        }"""
    )
    assert wrong == []


def test_keys_move_a_training_and_say_its_place(page: Page, queue: Viewer) -> None:
    page.locator(f"{_PLACES} .handle").nth(2).focus()
    page.keyboard.press("Alt+ArrowUp")
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("[data-said]")).to_have_text("c: place 1 of 5.")
    _until(page, queue, "cabde")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Move c, place 1"
    page.keyboard.press("Alt+ArrowDown")
    _until(page, queue, "acbde")


def test_what_happens_meanwhile_is_shown(page: Page, queue: Viewer) -> None:
    queue.store.queue.add_trainings([a_training(name="first", priority=1)])
    expect(page.locator(f"{_PLACES} .name a").first).to_have_text("first")
    page.get_by_role("button", name="Cancel first").click()
    expect(page.locator(f"{_PLACES} .name a").first).to_have_text("a")
    expect(page.locator("[data-rows=ended] .name a").first).to_have_text("first")
    page.get_by_role("button", name="Retry first").click()
    expect(page.locator(".toast").last).to_have_text("first is queued again.")
    row = page.locator("[data-rows=running] tr", has_text="running").first
    id = row.get_attribute("data-id")
    assert id is not None
    page.once("dialog", lambda dialog: dialog.dismiss())
    row.locator("[data-row-action=cancel]").click()
    assert queue.store.trainings.get_row(id).cancel_requested_at is None
    page.once("dialog", lambda dialog: dialog.accept())
    row.locator("[data-row-action=cancel]").click()
    expect(page.locator(f"[data-rows=running] tr[data-id='{id}']")).to_contain_text("stopping")
    assert queue.store.trainings.get_row(id).status == TrainingStatus.RUNNING
