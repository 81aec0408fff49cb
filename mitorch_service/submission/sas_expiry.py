"""Checks at submission that SAS tokens outlast the training."""

from __future__ import annotations

from datetime import datetime, timedelta

from mitorch_service.errors import Problem
from mitorch_service.models.dataset import Dataset
from mitorch_service.models.sas import sas_expiry, sas_of

_SOON = timedelta(days=7)  # a training may wait and run for days


def expiry_problem(dataset: Dataset, now: datetime) -> Problem | None:
    """Returns a problem if a token has expired; logs a warning, which the submitter sees, if one expires soon."""
    expiry, url = dataset.first_expiry() or (None, "")
    if expiry is None or expiry > now + _SOON:
        return None
    token, when = f"the SAS token of {url}", f"on {expiry:%Y-%m-%d %H:%M} UTC"
    remedy = "register a new version with one that outlasts the training"
    if expiry <= now:
        return Problem("dataset", f"{dataset.ref}: {token} expired {when}; {remedy}")
    _warn(f"{dataset.ref}: {token} ends {when}, and a run that starts later fails; or {remedy}")
    return None


def warn_of_storage_expiry(storage_url: str, now: datetime) -> None:
    """Logs a warning if the token in MITORCH_STORAGE_URL has expired or expires soon. It is no problem of a submission,
    as a new token in the setting also serves queued trainings."""
    expiry = sas_expiry(_token_of(storage_url))
    if expiry is None or expiry > now + _SOON:
        return
    ends = f"{'expired' if expiry <= now else 'ends'} on {expiry:%Y-%m-%d %H:%M} UTC"
    _warn(
        f"MITORCH_STORAGE_URL: the SAS token {ends}, and a run that ends later cannot store its model; "
        "set one that outlasts the training (permissions racwdl)"
    )


def _token_of(storage_url: str) -> str:
    """The query of a URL, or an item of a connection string."""
    if storage_url.startswith(("http://", "https://")):
        return sas_of(storage_url)
    items = (item.partition("=") for item in storage_url.split(";"))
    return next((value for name, _, value in items if name.strip().lower() == "sharedaccesssignature"), "")


def _warn(text: str) -> None:
    import logging  # which takes 5 ms: not for every submission

    logging.getLogger("mitorch").warning("Warning: %s.", text)
