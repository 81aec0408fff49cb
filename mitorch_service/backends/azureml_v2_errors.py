"""Every error of azure-ai-ml becomes one of ours, here: ask again later, or this is wrong and how to repair it.

The SDK's messages quote requests: what is told of them is one line, masked, and they are not chained.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mitorch_service.backends.azureml_v2_sdk import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    MlException,
)
from mitorch_service.errors import BackendError, BackendUnavailable
from mitorch_service.models.secrets import mask_secrets

_LATER = "The next pass asks again."
_SIGN_IN = ("aadsts", "authority", "credential")
_REMEDIES = {
    400: "Correct what the message names in MITORCH_CLUSTERS.",
    403: "Give the identity in `auth` the role AzureML Data Scientist there (Contributor, to create computes).",
    404: "Correct subscription_id, resource_group, workspace or compute in MITORCH_CLUSTERS.",
    409: "Look at the run in the studio; retry its training under a new attempt.",
}
_LONGEST = 300  # characters of the service's own words


@contextmanager
def sdk_errors(cluster: str) -> Iterator[None]:
    """Whatever the SDK raises inside leaves as BackendError, or as BackendUnavailable where asking again may help."""
    try:
        yield
    except BackendError:
        raise
    except Exception as error:  # noqa: BLE001 - besides its own it lets ValueError and KeyError out, for odd replies
        raise translate(cluster, error) from None


def translate(cluster: str, error: Exception) -> BackendError:
    """The one table: a sign-in that failed, an HTTP status, then what kind of exception it is."""
    status, words = status_of(error), _words(error)
    if is_sign_in(error):
        remedy = "Check tenant, service principal and password in `auth`, and whether the password has expired."
        return BackendError(cluster, f"the sign-in failed: {words}", remedy)
    if status == 401:
        remedy = "Check `auth` of the cluster, if this goes on."
        return BackendUnavailable(cluster, f"the sign-in was refused or has expired ({words})", remedy)
    if status is not None and 400 <= status < 500 and status not in (408, 429):
        return BackendError(cluster, words, _REMEDIES.get(status, _REMEDIES[400]))
    if status is not None:
        return BackendUnavailable(cluster, f"Azure answered {status} ({words})", _LATER)
    if isinstance(error, MlException):
        return BackendError(cluster, words, _REMEDIES[400])
    if isinstance(error, (AzureError, OSError)):
        return BackendUnavailable(cluster, f"it cannot be reached ({type(error).__name__})", _LATER)
    return BackendUnavailable(cluster, f"Azure answered what we do not understand ({words})", _LATER)


def status_of(error: Exception) -> int | None:
    """The HTTP status behind an exception; None where there is none, or where it is that of a sign-in."""
    if is_sign_in(error) or not isinstance(error, HttpResponseError):
        return None
    return error.status_code


def is_sign_in(error: Exception) -> bool:
    """Whether no token could be had, other than a token that was refused."""
    if not isinstance(error, (ClientAuthenticationError, ValueError)):
        return False
    text = str(error).lower()
    return any(word in text for word in _SIGN_IN)


def _words(error: Exception) -> str:
    """What the service says, in one line."""
    told = getattr(getattr(error, "error", None), "message", None)
    text = told or getattr(error, "message", None) or str(error) or type(error).__name__
    return mask_secrets(" ".join(str(text).split())[:_LONGEST]).rstrip(". ") or type(error).__name__
