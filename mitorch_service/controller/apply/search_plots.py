"""Keeps the pictures of a search that has ended among the artifacts of its job."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.observe.history import records
from mitorch_service.controller.plan.search.expansion import study_of
from mitorch_service.search.base import History
from mitorch_service.search.space.space import parse_space
from mitorch_service.stores.base import Store

_MOST_TRIALS = 1000  # the latest


@dataclass(frozen=True)
class KeepPlots:
    """Draws the pictures of a completed search, after everything else."""

    job_id: str
    artifacts: ArtifactStore


def keep_plots(store: Store, step: KeepPlots, events: EventLog) -> None:
    """Draws and stores the pictures, if the packages for that are installed and there are enough trials. Raises
    StoreError, ArtifactError; records an error of the libraries."""
    from mitorch_service.search.analysis.search_plots import can_draw, draw_search

    job = store.jobs.get_job(step.job_id)
    space, _ = parse_space(job.config)
    rows = store.jobs.latest_trials(job.id, _MOST_TRIALS)
    history = History(study_of(job, space), records(space, rows))
    if not can_draw(history):
        return
    with tempfile.TemporaryDirectory(prefix="mitorch-plots-") as folder:
        try:
            files = draw_search(history, job.search.objectives(), Path(folder))
        except Exception as error:  # noqa: BLE001 - drawn by libraries from any values; the job has ended well
            events.note_failure(f"job {job.id[:8]}: its plots cannot be drawn: {error!r}")
            return
        put = step.artifacts.put
        addresses = {f"plot_{file.stem}": put(f"{job.id}/plots/{file.name}", file) for file in files}
    store.jobs.add_artifacts(job.id, addresses)
