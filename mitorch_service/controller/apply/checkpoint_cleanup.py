"""Deletes the checkpoints of a job's paused trials once none of them will be resumed.

The records of the job's rungs are the list of what is left to do: each is removed after the checkpoints of its trial,
so that the next pass continues where one that died stopped.
"""

from __future__ import annotations

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.checkpoint_keys import delete_checkpoint_files
from mitorch_service.controller.event_log import EventLog
from mitorch_service.errors import ArtifactError
from mitorch_service.models.search.job import trial_id
from mitorch_service.stores.base import Store

PAGE = 50  # trials; in blob storage each takes some requests


def delete_page(store: Store, artifacts: ArtifactStore | None, job_id: str, events: EventLog) -> bool:
    """Deletes one page; returns whether there may be more. Checkpoints that cannot be deleted are recorded as failures
    and stay until their training is deleted: the job does not wait for them."""
    records = store.rungs.some_rung_records(job_id, PAGE)
    for number in sorted({record.number for record in records}):
        try:
            if artifacts is not None:
                delete_checkpoint_files(artifacts, trial_id(job_id, number), shared=True)
        except ArtifactError as error:
            events.note_failure(str(error))
    store.rungs.remove_rung_records(records)
    return len(records) == PAGE
