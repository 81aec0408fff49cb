"""Documents of other programs become trainings of ours, or fail with a sentence."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

import pytest

from mitorch_service.interop.mitorch.adoption import translate_document
from mitorch_service.interop.mitorch.foreign_fields import own_id
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.submission.foreign_submission import build_foreign
from mitorch_service.submission.lookups import Lookups
from mitorch_service.training.loop.config_check import check_names
from tests.samples import CONFIG, NOW, a_dataset

GUID = "6b1f5c1e-0b6e-4a52-9a53-3a1c7f1f2d11"


@pytest.fixture
def store() -> Store:
    store = SqliteStore(None)
    store.datasets.add_dataset(a_dataset())
    return store


def translated(store: Store, **document: Any) -> Training | Job:
    found = {"_id": GUID, "status": "new", "dataset": "digits", "config": CONFIG, **document}
    build = partial(build_foreign, Lookups(store, lambda: NOW), lambda config, written: check_names(written))
    return translate_document(build, "training", found, NOW)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("config", None, "config: is required: write the training config there"),
        ("config", "{}", "config: must be an object {…} (it is '{}'): write the training config there"),
        (
            "config",
            {**CONFIG, "model": {"name": "resnet1"}},
            "config.model.name: timm has no model 'resnet1'; did",
        ),
        ("config", {**CONFIG, "batch_sise": 3}, "config.batch_sise: unknown key; did you mean 'batch_size'"),
        (
            "config",
            {**CONFIG, "job_type": "search"},
            "config: describes a search, which belongs into the collection jobs",
        ),
        ("config", {"script": {"source": ".", "command": ["x"]}}, "submit the script with misubmit"),
        ("dataset", "digit", "dataset: 'digit' is not registered"),
        ("dataset", "digits:two", "dataset: must be a name such as"),
        ("dataset", 7, "dataset: must be a name such as"),
        ("prority", "high", "prority: must be a whole number, lower first, such as 100 (it is 'high')"),
        ("priority", True, "priority: must be a whole number"),
        (
            "created_at",
            "yesterday",
            "created_at: must be a time in UTC such as 2026-11-29T12:00:00Z (it is 'yesterday')",
        ),
        ("tags", ["vision"], "tags: must be a list of texts such as"),
        ("name", "x" * 201, "name: must be a text of at most 200 characters"),
    ],
)
def test_what_cannot_run_fails_with_a_sentence(field: str, value: object, sentence: str, store: Store) -> None:
    failed = translated(store, **{field: value})
    assert isinstance(failed, Training)
    assert failed.status == TrainingStatus.FAILED
    assert failed.error is not None
    assert sentence in failed.error.message
    assert "correct it there and insert it again, or submit its config with misubmit" in failed.error.message
    assert "pydantic" not in failed.error.message


def test_the_first_services_documents_are_read_as_well(store: Store) -> None:
    config = {**CONFIG, "dataset": "digits:1"}
    ours = translated(store, dataset=None, config=config, priority=3.0, created_at="2020-01-02 03:04:05")
    assert isinstance(ours, Training)
    assert (ours.status, ours.priority, str(ours.dataset), ours.id) == (TrainingStatus.NEW, 3, "digits:1", GUID)
    assert ours.created_at.isoformat() == "2020-01-02T03:04:05+00:00"


def test_a_guid_stays_what_it_is_in_any_form() -> None:
    assert {own_id(key) for key in (GUID, GUID.upper(), f"{{{GUID}}}", uuid.UUID(GUID).bytes)} == {GUID}
    assert own_id("first") == own_id("first") != own_id("second")


def translated_job(store: Store, **document: Any) -> Training | Job:
    build = partial(build_foreign, Lookups(store, lambda: NOW), lambda config, written: check_names(written))
    return translate_document(build, "job", {"_id": GUID, "status": "new", "dataset": "digits", **document}, NOW)


def test_a_job_config_is_read_in_the_document_or_in_its_config(store: Store) -> None:
    rate = {"lr_scheduler": {"name": "cosine", "base_lr": {"_loguniform": [0.001, 0.1]}}}
    inner = {"job_type": "search", "config": {**CONFIG, **rate}, "search": {"max_trials": 2}}
    for document in (inner, {"config": inner}, {"job_type": "search", "config": inner}):
        job = translated_job(store, **document)
        assert isinstance(job, Job) and job.status.value == "new", job
        assert job.search.max_trials == 2


def test_a_problem_of_a_job_is_told_by_its_place_in_the_document(store: Store) -> None:
    wrong = {"job_type": "search", "config": {**CONFIG, "batch_sise": 3}}
    job = translated_job(store, **wrong)
    assert isinstance(job, Job) and job.error is not None
    assert "cannot run: search: is required" in job.error or "; search: is required" in job.error
    assert "config.batch_sise" in job.error and "config.config" not in job.error
    inside = translated_job(store, config=wrong)
    assert isinstance(inside, Job) and "config.search: is required" in (inside.error or "")
