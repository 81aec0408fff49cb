"""SAS tokens of data sets that end before a training can: told when it is submitted."""

from __future__ import annotations

from datetime import datetime, timedelta

from mitorch_service.errors import Problem
from mitorch_service.models.dataset import Dataset

_SOON = timedelta(days=7)  # a training may wait and run for days


def expiry_problem(dataset: Dataset, now: datetime) -> Problem | None:
    """What is wrong if a token has ended; one that ends soon is told in the log, which shows it to who submits."""
    expiry, url = dataset.first_expiry() or (None, "")
    if expiry is None or expiry > now + _SOON:
        return None
    token, when = f"the SAS token of {url}", f"on {expiry:%Y-%m-%d %H:%M} UTC"
    remedy = "register a new version with one that outlasts the training"
    if expiry <= now:
        return Problem("dataset", f"{dataset.ref}: {token} expired {when}; {remedy}")
    import logging  # which takes 5 ms: not for every submission

    logging.getLogger("mitorch").warning(
        "Warning: %s: %s ends %s, and a run that starts later fails; or %s.", dataset.ref, token, when, remedy
    )
    return None
