"""Explains errors of Azure Blob Storage in plain words, with the remedy.

The SDK's messages quote requests with SAS tokens and signatures, so that they are neither repeated nor chained.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from mitorch_service.models.blob_storage.sas import sas_expiry

_KNOWN = {
    "ContainerNotFound": "the container does not exist. Create it, or correct its name",
    "ContainerBeingDeleted": "the container is being deleted. Use another, or try again in a minute",
    "ContainerDisabled": "the container is disabled. Enable it, or use another",
    "AccountIsDisabled": "the storage account is disabled. Enable it, or use another",
    "BlobNotFound": "file not found",
    "BlobArchived": "the file is in the archive tier. Rehydrate it first",
    "InvalidUri": "the name is not valid in blob storage. Use letters, digits and dashes for containers",
    "InvalidResourceName": "the container's name is not allowed. Use 3 to 63 lower-case letters, digits and dashes",
    "OutOfRangeInput": "the container's name is not allowed. Use 3 to 63 lower-case letters, digits and dashes",
    "AuthorizationPermissionMismatch": "the credential lacks a permission. A SAS token needs racwdl here to store, and "
    "rl to read; an identity the role Storage Blob Data Contributor",
    "AuthorizationFailure": "access is refused: the credential is wrong or lacks a permission, or the account's "
    "firewall blocks this machine. Create a new SAS token, or allow the machine",
    "AuthorizationProtocolMismatch": "the SAS token is valid for https only",
    "KeyBasedAuthenticationNotPermitted": "the account refuses keys. Use an identity, or a user delegation SAS",
    "PublicAccessNotPermitted": "the account requires a credential. Add a SAS token to the URL",
    "NoAuthenticationInformation": "the account requires a credential. Add a SAS token to the URL",
}
_RETRIED = (408, 429)
_DENIED = (401, 403)


def is_refusal(error: AzureError) -> bool:
    """Whether the storage refused the request, so that it will not succeed later."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status is None:
        return isinstance(error, ClientAuthenticationError)  # there is no identity
    return 400 <= status < 500 and status not in _RETRIED


def is_denial(error: AzureError) -> bool:
    """Whether the storage refused the credential, or there is none."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    return status in _DENIED or (status is None and isinstance(error, ClientAuthenticationError))


def problem(error: AzureError, sas: str, now: datetime | None = None) -> str:
    """Returns the problem and the remedy, without credentials. `sas`: the token that was sent, if any."""
    if not isinstance(error, HttpResponseError):
        return f"it cannot be reached ({_reason(error)}). Check the network and the host's name, and try again"
    status, code = error.status_code, error_code(error)
    if status in _DENIED:
        return _denial(code, sas, now or datetime.now(UTC))
    if status is None and isinstance(error, ClientAuthenticationError):
        return _no_identity(error)
    if status is None:
        return f"the answer was interrupted ({_reason(error)}). Try again"
    known = _KNOWN.get(code)
    if known is None and status == 404:
        return _KNOWN["BlobNotFound"]
    return known or f"it answered {status} {code or error.reason or ''}".rstrip() + ". Try again later"


def error_code(error: AzureError) -> str:
    """Returns the storage's error code, such as ``BlobNotFound``; empty if it sent none."""
    code = getattr(error, "error_code", None)
    response = getattr(error, "response", None)
    if code is None and response is not None:
        code = response.headers.get("x-ms-error-code")
    return str(getattr(code, "value", code) or "")


def _no_identity(error: ClientAuthenticationError) -> str:
    refused = re.search(r"AADSTS\d+", str(error))
    why = f"Azure refused the identity of this machine ({refused.group(0)})" if refused else "this machine has none"
    remedy = "Run az login, give it a managed identity, or add a SAS token to the URL"
    return f"it requires an Azure identity: {why}. {remedy}"


def _denial(code: str, sas: str, now: datetime) -> str:
    expiry = sas_expiry(sas)
    if expiry is not None and expiry <= now:
        return f"the SAS token expired on {expiry:%Y-%m-%d %H:%M} UTC. Create a new one"
    known = _KNOWN.get(code)
    if known:
        return f"{known} ({code})"
    what = "SAS token" if sas else "credential"
    return f"the {what} is not accepted ({code or 'no reason given'}). Check it, and this machine's clock"


def _reason(error: AzureError) -> str:
    """Returns the system's message, such as ``[Errno 111] Connection refused``, or the type of error."""
    inner = error.inner_exception or error.__cause__ or error
    found = re.search(r"\[Errno -?\d+\] [\w ,]+", str(inner))
    return found.group(0) if found else type(inner).__name__
