"""Keeps the pictures of a search that has ended among the artifacts of its job."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.controller.observe.history import records
from mitorch_service.controller.plan.expansion import study_of
from mitorch_service.search.base import History
from mitorch_service.search.space.space import parse_space
from mitorch_service.stores.base import Store

_MOST_TRIALS = 1000  # the latest


def keep_plots(store: Store, artifacts: ArtifactStore, job_id: str) -> int:
    """Draws and stores the pictures, if the packages for that are installed and there are enough trials; returns how
    many. Raises StoreError, ArtifactError."""
    from mitorch_service.search.analysis.search_plots import can_draw, draw_search

    job = store.jobs.get_job(job_id)
    space, _ = parse_space(job.config)
    rows = store.jobs.latest_trials(job_id, _MOST_TRIALS)
    history = History(study_of(job, space), records(space, rows))
    if not can_draw(history):
        return 0
    with tempfile.TemporaryDirectory(prefix="mitorch-plots-") as folder:
        files = draw_search(history, job.search.objectives(), Path(folder))
        addresses = {f"plot_{file.stem}": artifacts.put(f"{job_id}/plots/{file.name}", file) for file in files}
    store.jobs.add_artifacts(job_id, addresses)
    return len(addresses)
