"""What Azure's blob storage answers, in plain words with the remedy.

The SDK's own messages quote requests, and in them SAS tokens and signatures: they are neither repeated nor chained.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from mitorch_service.models.sas import sas_expiry

_KNOWN = {
    "ContainerNotFound": "there is no such container. Create it, or correct its name",
    "ContainerBeingDeleted": "the container is being deleted. Name another, or try again in a minute",
    "ContainerDisabled": "the container is disabled. Enable it, or name another",
    "AccountIsDisabled": "the storage account is disabled. Enable it, or name another",
    "BlobNotFound": "there is no such file",
    "BlobArchived": "the file is in the archive tier. Rehydrate it first",
    "InvalidUri": "the name cannot be one of blob storage. Use letters, digits and dashes for containers",
    "InvalidResourceName": "the container's name is not allowed. Use 3 to 63 lower-case letters, digits and dashes",
    "OutOfRangeInput": "the container's name is not allowed. Use 3 to 63 lower-case letters, digits and dashes",
    "AuthorizationPermissionMismatch": "the credential lacks a permission. A SAS token needs racwdl here to store, and "
    "rl to read; an identity the role Storage Blob Data Contributor",
    "AuthorizationFailure": "access is refused: the credential is wrong or lacks a permission, or the account's "
    "firewall keeps this machine out. Make a new SAS token, or let the machine in",
    "AuthorizationProtocolMismatch": "the SAS token is for https only",
    "KeyBasedAuthenticationNotPermitted": "the account refuses keys. Use an identity, or a user delegation SAS",
    "PublicAccessNotPermitted": "the account wants a credential. Add a SAS token to the URL",
    "NoAuthenticationInformation": "the account wants a credential. Add a SAS token to the URL",
}
_RETRIED = (408, 429)


def is_refusal(error: AzureError) -> bool:
    """Whether the storage understood and said no: the same request will not succeed later."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status is None:
        return isinstance(error, ClientAuthenticationError)  # no identity to be had
    return 400 <= status < 500 and status not in _RETRIED


def problem(error: AzureError, sas: str, now: datetime | None = None) -> str:
    """What went wrong and the remedy, without any credential. `sas` is the token that was sent, if any."""
    if not isinstance(error, HttpResponseError):
        return f"it cannot be reached ({_reason(error)}). Check the network and the host's name, and try again"
    status, code = error.status_code, error_code(error)
    if status in (401, 403):
        return _denial(code, sas, now or datetime.now(UTC))
    if status is None and isinstance(error, ClientAuthenticationError):
        return _no_identity(error)
    if status is None:
        return f"the answer was cut off ({_reason(error)}). Try again"
    known = _KNOWN.get(code)
    if known is None and status == 404:
        return _KNOWN["BlobNotFound"]
    return known or f"it answered {status} {code or error.reason or ''}".rstrip() + ". Try again later"


def error_code(error: AzureError) -> str:
    """The storage's own word for it, such as ``BlobNotFound``; empty where it gave none."""
    code = getattr(error, "error_code", None)
    response = getattr(error, "response", None)
    if code is None and response is not None:
        code = response.headers.get("x-ms-error-code")
    return str(getattr(code, "value", code) or "")


def _no_identity(error: ClientAuthenticationError) -> str:
    refused = re.search(r"AADSTS\d+", str(error))
    why = f"Azure refused the identity of this machine ({refused.group(0)})" if refused else "this machine has none"
    return f"it takes an Azure identity: {why}. Run az login, give it a managed identity, or add a SAS token to the URL"


def _denial(code: str, sas: str, now: datetime) -> str:
    expiry = sas_expiry(sas)
    if expiry is not None and expiry <= now:
        return f"the SAS token expired on {expiry:%Y-%m-%d %H:%M} UTC. Make a new one"
    known = _KNOWN.get(code)
    if known:
        return f"{known} ({code})"
    what = "SAS token" if sas else "credential"
    return f"the {what} is not accepted ({code or 'no reason given'}). Check it, and the clock of this machine"


def _reason(error: AzureError) -> str:
    """The system's own words, such as ``[Errno 111] Connection refused``, or the kind of error."""
    inner = error.inner_exception or error.__cause__ or error
    found = re.search(r"\[Errno -?\d+\] [\w ,]+", str(inner))
    return found.group(0) if found else type(inner).__name__
