"""Orders through the API do what the commands do, and tell what they did."""

from __future__ import annotations

import pytest

from mitorch_service.errors import NotFound
from tests.fakes import FakeBackend
from tests.served import Served


def test_what_waits_is_canceled_and_queued_again_and_deleted(service: Served) -> None:
    client, id = service.client(), service.training("new")
    assert client.post(f"/api/trainings/{id[:12]}/cancel").json() == {
        "kind": "training",
        "id": id,
        "trials": 0,
        "is_final": True,
    }
    assert client.post(f"/api/trainings/{id}/retry").status_code == 200
    assert service.store.trainings.get_training(id).status == "new"
    refused = client.delete(f"/api/trainings/{id}")
    assert refused.status_code == 409
    assert refused.json()["kind"] == "NotAllowed" and "Cancel it first" in refused.json()["error"]
    client.post(f"/api/trainings/{id}/cancel")
    assert client.delete(f"/api/trainings/{id}").status_code == 200
    with pytest.raises(NotFound):
        service.store.trainings.get_training(id)


def test_the_run_of_what_is_running_is_asked_to_stop(service: Served) -> None:
    id = service.training("running")
    answer = service.client().post(f"/api/trainings/{id}/cancel").json()
    assert not answer["is_final"]
    cancels = [name for one in service.backends.values() if isinstance(one, FakeBackend) for name in one.cancels]
    assert cancels == [f"mt-{id}-a1"]


def test_labels_change_together_or_not_at_all(service: Served) -> None:
    client, id = service.client(), service.training("new")
    body = {"priority": 7, "name": "neu", "note": "look", "add_tags": ["team=x"], "remove_tags": ["stage"]}
    assert client.patch(f"/api/trainings/{id}", json=body).status_code == 200
    changed = service.store.trainings.get_training(id)
    assert (changed.priority, changed.name, changed.user_note, changed.tags) == (7, "neu", "look", ["team=x"])
    for wrong in ({"priority": 9, "name": "a\nb"}, {"priority": 9, "add_tags": ["x"]}, {"priority": 9.5}, {"nam": 1}):
        assert client.patch(f"/api/trainings/{id}", json=wrong).status_code in (400, 422)
    assert service.store.trainings.get_training(id) == changed
    assert client.patch(f"/api/trainings/{id}", json={"name": None}).status_code == 200
    assert service.store.trainings.get_training(id).name is None
    assert service.store.trainings.get_training(id).user_note == "look"


def test_a_search_is_changed_with_its_trials(service: Served) -> None:
    client = service.client()
    answer = client.patch(f"/api/jobs/{service.job}", json={"priority": 3}).json()
    assert answer["kind"] == "job" and answer["trials"] == 3
    assert client.post(f"/api/jobs/{service.job}/cancel").json()["trials"] == 3
    assert client.get(f"/api/trainings/{service.job}").status_code == 404


def test_many_at_once_are_told_one_by_one(service: Served) -> None:
    client = service.client()
    new, done = service.training("new"), service.training("completed")
    order = {"action": "cancel", "ids": [new, done, service.job]}
    first = client.post("/api/actions", json={**order, "dry_run": True}).json()
    assert (first["trainings"], first["jobs"], first["changed"], first["left"]) == (2, 1, [], 3)
    assert service.store.trainings.get_training(new).status == "new"
    answer = client.post("/api/actions", json={**order, "expected": 3}).json()
    assert [one["id"] for one in answer["changed"]] == [new, service.job]
    assert [one["id"] for one in answer["refused"]] == [done] and "It has ended" in answer["refused"][0]["reason"]


def test_an_order_for_more_than_a_person_was_told_changes_nothing(service: Served) -> None:
    ids = [service.training("new"), service.training("running")]
    answer = service.client().post("/api/actions", json={"action": "cancel", "ids": ids, "expected": 1})
    assert answer.status_code == 400 and "for 2 now, not for 1" in answer.json()["error"]
    assert service.store.trainings.get_training(ids[0]).status == "new"


def test_an_order_that_says_two_things_is_refused(seen: Served) -> None:
    client, id = seen.client(), seen.training("new")
    for body in (
        {"action": "cancel", "ids": [id], "name": "x"},
        {"action": "change", "ids": [id]},
        {"action": "cancel"},
    ):
        assert client.post("/api/actions", json=body).status_code == 400, body
