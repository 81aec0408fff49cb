"""Checks at submission whether SAS tokens may expire before the training ends."""

from __future__ import annotations

from datetime import datetime, timedelta

from mitorch_service.errors import Problem
from mitorch_service.models.dataset import Dataset
from mitorch_service.models.sas import sas_expiry, sas_of

_SOON = timedelta(days=7)  # a training may wait and run for days


def expiry_problem(dataset: Dataset, now: datetime) -> Problem | None:
    """The problem if a token has expired; if one expires soon, a warning is logged, which misubmit shows."""
    if (expired := dataset.expired(now)) is not None:
        return Problem("dataset", f"{dataset.ref}: {expired}")
    expiry, url = dataset.first_expiry() or (None, "")
    if expiry is not None and expiry <= now + _SOON:
        remedy = "register this version again with one that outlasts the training"
        when = f"on {expiry:%Y-%m-%d %H:%M} UTC"
        _warn(f"{dataset.ref}: the SAS token of {url} ends {when}, and what is to start later waits: {remedy}")
    return None


def warn_of_storage_expiry(storage_url: str, now: datetime) -> None:
    """Warns of the token in MITORCH_STORAGE_URL as of a data set's. It refuses nothing, as a new token in the setting
    serves what is queued already."""
    expiry = sas_expiry(_token_of(storage_url))
    if expiry is None or expiry > now + _SOON:
        return
    ends = f"{'expired' if expiry <= now else 'ends'} on {expiry:%Y-%m-%d %H:%M} UTC"
    _warn(
        f"MITORCH_STORAGE_URL: the SAS token {ends}, and a run that ends later cannot store its model; "
        "set one that outlasts the training (permissions racwdl)"
    )


def _token_of(storage_url: str) -> str:
    """Finds the token behind the ``?`` of a URL, or by its name in a connection string."""
    if storage_url.startswith(("http://", "https://")):
        return sas_of(storage_url)
    items = (item.partition("=") for item in storage_url.split(";"))
    return next((value for name, _, value in items if name.strip().lower() == "sharedaccesssignature"), "")


def _warn(text: str) -> None:
    import logging  # which takes 5 ms: not for every submission

    logging.getLogger("mitorch").warning("Warning: %s.", text)
