"""Checks at submission whether SAS tokens may expire before the training ends."""

from __future__ import annotations

from datetime import datetime, timedelta

from mitorch_service.errors import Problem
from mitorch_service.models.blob_storage.sas import sas_expiry, sas_of
from mitorch_service.models.dataset import Dataset
from mitorch_service.settings import Settings
from mitorch_service.submission.node_storage import node_storage_problem

_SOON = timedelta(days=7)  # a training may wait and run for days


def expiry_problem(dataset: Dataset, now: datetime) -> Problem | None:
    """The problem if a token has expired; if one expires soon, a warning is logged, which misubmit shows."""
    if (expired := dataset.expired(now)) is not None:
        return Problem("dataset", f"{dataset.ref}: {expired}")
    expiry, url = dataset.first_expiry() or (None, "")
    if expiry is not None and expiry <= now + _SOON:
        remedy = "register this version again with one that outlasts the training"
        when = f"on {expiry:%Y-%m-%d %H:%M} UTC"
        _log(f"Warning: {dataset.ref}: the SAS token of {url} ends {when}, and what is to start later waits: {remedy}.")
    return None


def warn_of_storage(settings: Settings, now: datetime) -> list[str]:
    """Logs `storage_warnings`, which misubmit and Python show; returns them."""
    warnings = storage_warnings(settings, now)
    for text in warnings:
        _log(text)
    return warnings


def storage_warnings(settings: Settings, now: datetime) -> list[str]:
    """The warnings of an artifact store that will perhaps not keep what a run makes."""
    problems = (_expiry(settings.storage_url, now), node_storage_problem(settings))
    return [f"Warning: {problem}." for problem in problems if problem]


def _expiry(storage_url: str, now: datetime) -> str | None:
    """The warning of the token in MITORCH_STORAGE_URL as of a data set's. It refuses nothing, as a new token in the
    setting serves what is queued already."""
    expiry = sas_expiry(_token_of(storage_url))
    if expiry is None or expiry > now + _SOON:
        return None
    ends = f"{'expired' if expiry <= now else 'ends'} on {expiry:%Y-%m-%d %H:%M} UTC"
    return (
        f"MITORCH_STORAGE_URL: the SAS token {ends}, and a run that ends later cannot store its model; "
        "set one that outlasts the training (permissions racwdl)"
    )


def _token_of(storage_url: str) -> str:
    """Finds the token behind the ``?`` of a URL, or by its name in a connection string."""
    if storage_url.startswith(("http://", "https://")):
        return sas_of(storage_url)
    items = (item.partition("=") for item in storage_url.split(";"))
    return next((value for name, _, value in items if name.strip().lower() == "sharedaccesssignature"), "")


def _log(text: str) -> None:
    import logging  # which takes 5 ms: not for every submission

    logging.getLogger("mitorch").warning("%s", text)
