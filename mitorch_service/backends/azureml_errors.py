"""Every error of azureml-core becomes one of ours, here: ask again later, or this is wrong and how to repair it.

The SDK's messages quote requests and headers: what is told of them is one line, masked, and they are not chained.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError, ClientAuthenticationError

from mitorch_service.backends.azureml_sdk import AzureMLException, ClientRequestError, HttpOperationError, requests
from mitorch_service.errors import BackendError, BackendUnavailable
from mitorch_service.models.secrets import mask_secrets

_LATER = "The next pass asks again."
_STATUS = re.compile(r"(?:status_code|Response Code|StatusCode|Code)\"?:\s*(\d{3})\b")
_MESSAGE = re.compile(r'\\?"[mM]essage\\?":\s*\\?"(.*?)\\?"[,}\s]')
_SIGN_IN = ("AADSTS", "authority", "tenant", "az login")
_REMEDIES = {
    400: "Correct what the message names in MITORCH_CLUSTERS.",
    403: "Give the identity in `auth` the role AzureML Data Scientist there (Contributor, to create computes).",
    404: "Correct subscription_id, resource_group, workspace or compute in MITORCH_CLUSTERS.",
    409: "Look at the run in the studio; retry its training under a new attempt.",
}
_LONGEST = 300  # characters of the service's own words


class Gone(BackendError):
    """What was asked for is not there."""


@contextmanager
def sdk_errors(cluster: str) -> Iterator[None]:
    """Whatever the SDK raises inside leaves as BackendError, or as BackendUnavailable where asking again may help."""
    try:
        yield
    except BackendError:
        raise
    except Exception as error:  # noqa: BLE001 - the SDK raises from a dozen families, and KeyError for odd replies
        raise translate(cluster, error) from None


def translate(cluster: str, error: Exception) -> BackendError:
    """The one table: an HTTP status first, then what kind of exception it is."""
    status, words = status_of(error), _words(error)
    if status == 404:
        return Gone(cluster, words, _REMEDIES[404])
    if status == 401:
        remedy = "Check `auth` of the cluster, if this goes on."
        return BackendUnavailable(cluster, f"the sign-in was refused or has expired ({words})", remedy)
    if status is not None and 400 <= status < 500 and status not in (408, 429):
        return BackendError(cluster, words, _REMEDIES.get(status, _REMEDIES[400]))
    if status is not None:
        return BackendUnavailable(cluster, f"Azure answered {status} ({words})", _LATER)
    if _is_network(error):
        return BackendUnavailable(cluster, f"it cannot be reached ({type(error).__name__})", _LATER)
    if _is_sign_in(error, words):
        remedy = "Check tenant, service principal and password in `auth`, and whether the password has expired."
        return BackendError(cluster, f"the sign-in failed: {words}", remedy)
    if isinstance(error, (AzureMLException, AzureError)):
        return BackendError(cluster, words, _REMEDIES[400])
    return BackendUnavailable(cluster, f"Azure answered what we do not understand ({words})", _LATER)


def status_of(error: Exception) -> int | None:
    """The HTTP status behind an exception, which the SDK keeps in an attribute or in its text only."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None) or getattr(error, "status_code", None)
    if isinstance(status, int):
        return status
    text = str(error)
    if "ComputeTargetNotFound" in text:
        return 404
    if "status code 'Forbidden'" in text:
        return 403
    match = _STATUS.search(text) if isinstance(error, AzureMLException) else None
    return None if match is None else int(match.group(1))


def _is_network(error: Exception) -> bool:
    if isinstance(error, (AzureMLException, HttpOperationError, ClientAuthenticationError)):
        return False
    return isinstance(error, (requests.exceptions.RequestException, ClientRequestError, AzureError, OSError))


def _is_sign_in(error: Exception, words: str) -> bool:
    known = isinstance(error, ClientAuthenticationError) or "Authentication" in type(error).__name__
    return known or any(word.lower() in words.lower() for word in _SIGN_IN)


def _words(error: Exception) -> str:
    """What the service says, in one line."""
    text = str(getattr(error, "message", None) or error) or type(error).__name__
    match = _MESSAGE.search(text)
    if match is not None:
        text = _unescaped(match.group(1))
    line = " ".join(text.split())
    return mask_secrets(line[:_LONGEST]).rstrip(". ") or type(error).__name__


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text
