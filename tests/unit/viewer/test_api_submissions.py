"""Submitting through the API passes the checks of misubmit, and problems come with their lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served import Served, served

CONFIG = {"model": {"name": "resnet18"}, "dataset": "parts", "max_epochs": 2}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, trainings=0, trials=4) as made:
        yield made


def test_a_training_is_queued_as_misubmit_queues_it(service: Served) -> None:
    body = {"config": CONFIG, "name": "mine", "tags": ["team=x"], "priority": 3}
    answer = service.client().post("/api/submissions", json=body).json()
    training = service.store.trainings.get_training(answer["id"])
    assert (training.name, training.tags, training.priority) == ("mine", ["team=x"], 3)
    assert (training.submitted_by, str(training.dataset), training.status) == ("ada", "parts:2", "new")


def test_a_dry_run_explains_and_queues_nothing(seen: Served) -> None:
    before = seen.store.trainings.count_trainings()
    space = {**CONFIG, "lr_scheduler": {"base_lr": {"_loguniform": [1e-4, 1e-1]}}}
    search = {"job_type": "search", "config": space, "search": {"max_trials": 4, "algorithm": "random"}}
    answer = seen.client().post("/api/submissions", json={"config": search, "dry_run": True}).json()
    assert answer["id"] is None and answer["kind"] == "job"
    assert len(answer["plan"]["trials"]) == 4 and "random search on parts:2" in answer["explanation"][0]
    assert seen.store.trainings.count_trainings() == before


def test_everything_that_is_wrong_is_told_and_nothing_queued(seen: Served) -> None:
    client = seen.client()
    before = seen.store.trainings.count_trainings()
    wrong = [
        {"config": {**CONFIG, "max_epoch": 3}},
        {"config": {**CONFIG, "max_epochs": 10**30}},
        {"config": CONFIG, "dataset": "nowhere"},
        {"config": CONFIG, "tags": ["x"]},
        {"config": CONFIG, "text": "{}"},
        {},
        {"text": "[1]"},
        {"config": {"script": {"command": "ls", "source": "/etc"}}},
    ]
    for body in wrong:
        assert client.post("/api/submissions", json=body).status_code in (400, 422), body
    told = client.post("/api/submissions", json=wrong[0]).json()
    assert told["problems"][0]["path"] == "max_epoch" and "max_epochs" in told["problems"][0]["message"]
    half = b'{"text": "{\\"name\\": \\"\\ud800\\"}"}'
    for content in (half, b"{", b"\xff", b'{"config": {"x": NaN}}'):
        answer = client.post("/api/submissions", content=content, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422), content
    assert "with misubmit" in client.post("/api/submissions", json=wrong[-1]).json()["error"]
    assert seen.store.trainings.count_trainings() == before


JSON = """{
  "dataset": "parts",
  "model": {"name": "resnet18"},
  "optimizer": {
    "nam": "sgd"
  },
  "augmentation": {"train": ["horizontal_flip", "no_such"]}
}"""
YAML = """dataset: parts
model:
  name: resnet18
optimizer:
  nam: sgd
"""


@pytest.mark.parametrize(
    ("text", "format", "lines"),
    [
        (JSON, "json", {"optimizer.nam": 5, "augmentation.train[1].name": 7}),
        (YAML, "yaml", {"optimizer.nam": 5}),
        ('{"model": 1,\n}', "json", {"line 2, column 1": 2}),
        ("a: 1\n b: 2", "yaml", {"line 2, column 3": 2}),
    ],
)
def test_problems_come_with_their_lines(seen: Served, text: str, format: str, lines: dict[str, int]) -> None:
    answer = seen.client().post("/api/validate", json={"text": text, "format": format}).json()
    assert not answer["valid"]
    found = {one["path"]: one["line"] for one in answer["problems"]}
    assert {path: found.get(path) for path in lines} == lines


def test_yaml_that_would_take_the_server_too_long_is_refused(seen: Served) -> None:
    body = {"text": f"a: 1 # {'x' * 100_000}", "format": "yaml"}
    answer = seen.client().post("/api/submissions", json=body)
    assert answer.status_code == 400 and "write it as JSON" in answer.json()["error"]


def test_what_is_right_is_explained_while_it_is_written(seen: Served) -> None:
    text = YAML.replace("nam:", "name:")
    answer = seen.client().post("/api/validate", json={"text": text, "format": "yaml"}).json()
    assert answer["valid"] and answer["kind"] == "training" and "One training on parts:2" in answer["explanation"][0]


def test_the_first_submission_creates_the_database(service: Served) -> None:
    service.store.close()
    for file in service.settings.home.glob("mitorch.db*"):
        file.unlink()
    client = service.client()
    assert client.post("/api/submissions", json={"config": {"script": {"command": "true"}}}).status_code == 200
    assert (service.settings.home / "mitorch.db").exists()
