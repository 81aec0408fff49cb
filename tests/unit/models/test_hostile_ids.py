"""Ids of trainings and jobs by which folders of runs, artifacts and undelivered work would lie elsewhere."""

from __future__ import annotations

import pytest

from mitorch_service.errors import BrokenDocument
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Training
from tests.hostile_names import HOSTILE_NAMES
from tests.samples import a_job, a_training

ALLOWED = {"~", "C:x", "NUL", "CON.txt", "COM1", "x. ", "x.", " ", "-rf", "\u202ex", "a\nb"}  # files of this folder


@pytest.mark.parametrize("id", HOSTILE_NAMES)
def test_a_document_whose_id_is_a_path_is_set_aside(id: str) -> None:
    training, job = {**a_training().to_document(), "_id": id}, {**a_job().to_document(), "_id": id}
    if id in ALLOWED:
        assert Training.from_document(training).id == Job.from_document(job).id == id
        return
    with pytest.raises(BrokenDocument, match="id: must be an id that files can be named by"):
        Training.from_document(training)
    with pytest.raises(BrokenDocument, match="id: must be an id that files can be named by"):
        Job.from_document(job)
