"""Documents are read whatever earlier version wrote them; a form that is not known is told."""

from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.errors import BrokenDocument, NewerDocument
from mitorch_service.models.base import DAMAGED
from mitorch_service.models.dataset import Dataset
from mitorch_service.models.schema_versions import VERSIONS, older_versions, upgraded, upgraded_for
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Training
from tests.samples import NOW, a_dataset, a_job, a_training


@pytest.mark.parametrize("document", [a_training(), a_job(), a_dataset()])
def test_a_document_without_a_version_is_of_the_first(document: Training | Job | Dataset) -> None:
    stored = document.to_document()
    assert type(document).from_document(stored) == document
    del stored["schema"]
    assert type(document).from_document(stored) == document


@pytest.mark.parametrize("schema", [3, 2.5, 0, "2", [1], {"version": 1}])
def test_a_version_that_is_none_of_ours_is_told(schema: object) -> None:
    stored = {**a_training().to_document(), "schema": schema}
    with pytest.raises(NewerDocument, match=r"newer version of MiTorch wrote it .*Upgrade mitorch-service") as told:
        Training.from_document(stored)
    assert "micontrol repair" not in str(told.value)
    assert upgraded("trainings", stored) == stored


def test_every_version_has_a_step_to_the_next() -> None:
    for collection, current in VERSIONS.items():
        assert len(older_versions(collection)) == (current if current > 1 else 0)
        assert upgraded(collection, {"_id": "x"}).get("schema", 1) == current


@pytest.mark.parametrize(
    "fields",
    [
        {"status": ["new"], "tags": {"a": 1}, "trial": 7, "status_times": "x"},
        {"status": "completed", "status_times": {"completed": None}, "tags": [1, "team=a"], "submitted_by": 3},
        {"status": "pruned", "trial": {"until": 3}, "status_times": None, DAMAGED: {"reason": "cut off"}},
    ],
)
def test_a_damaged_document_is_brought_up_to_date_as_far_as_it_goes(fields: dict[str, Any]) -> None:
    document = upgraded("trainings", {"_id": "x", **fields})
    assert document["schema"] == 2
    with pytest.raises(BrokenDocument):
        Training.from_document(document)


def test_what_stays_with_its_run_keeps_its_form() -> None:
    stored = {"status": "running", "status_times": {"running": NOW}}
    assert upgraded_for("trainings", stored, None) == stored
    assert upgraded_for("trainings", stored, "running") == stored
    assert upgraded_for("trainings", stored, "new")["schema"] == 2
    assert upgraded_for("training_results", {"_id": "x:1"}, None) == {"_id": "x:1"}
