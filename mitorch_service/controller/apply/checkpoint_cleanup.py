"""What the trials of a job have kept to go on from, deleted once none of them will.

The records of its rungs are the list of what is to be done: each goes after the states of its trial, so that a pass
that dies is gone on with by the next.
"""

from __future__ import annotations

from collections.abc import Callable

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.checkpoints import delete_states
from mitorch_service.errors import ArtifactError
from mitorch_service.models.job import trial_id
from mitorch_service.stores.base import Store

_PAGE = 50  # trials; in blob storage each takes some requests


def delete_page(
    store: Store, artifacts: ArtifactStore | None, job_id: str, tell: Callable[[ArtifactError], object]
) -> bool:
    """Some of them; returns whether there may be more. States that cannot be deleted are told of, and stay until their
    training is deleted: the job does not wait for them."""
    records = store.rungs.some_rung_records(job_id, _PAGE)
    for number in sorted({record.number for record in records}):
        try:
            if artifacts is not None:
                delete_states(artifacts, trial_id(job_id, number), shared=True)
        except ArtifactError as error:
            tell(error)
    store.rungs.remove_rung_records(records)
    return len(records) == _PAGE
