"""Translates every error of azure-ai-ml to one of ours: temporary, or permanent with a remedy.

The SDK's messages quote requests, so that only one line of them is used, masked, and they are not chained.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mitorch_service.backends.azureml.http_errors import (
    answered,
    not_understood,
    one_line,
    refused,
    sign_in_failed,
    unreachable,
)
from mitorch_service.backends.azureml.v2.sdk import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    MlException,
)
from mitorch_service.errors import BackendError

_SIGN_IN = ("aadsts", "authority", "credential")


@contextmanager
def sdk_errors(cluster: str) -> Iterator[None]:
    """Raises BackendError for the SDK's errors inside, or BackendUnavailable if a later call may succeed."""
    try:
        yield
    except BackendError:
        raise
    except Exception as error:  # noqa: BLE001 - besides its own errors the SDK raises ValueError and KeyError for odd replies
        raise translate(cluster, error) from None


def translate(cluster: str, error: Exception) -> BackendError:
    """Returns our error for a failed sign-in, else by HTTP status, else by the kind of exception."""
    status, words = status_of(error), _words(error)
    if is_sign_in(error):
        return sign_in_failed(cluster, words)
    if status is not None:
        return answered(cluster, status, words)
    if isinstance(error, MlException):
        return refused(cluster, words)
    if isinstance(error, (AzureError, OSError)):
        return unreachable(cluster, error)
    return not_understood(cluster, words)


def status_of(error: Exception) -> int | None:
    """Returns the HTTP status of an exception; None if it has none, or for a failed sign-in."""
    if is_sign_in(error) or not isinstance(error, HttpResponseError):
        return None
    return error.status_code


def is_sign_in(error: Exception) -> bool:
    """Whether no token could be obtained, as opposed to a token that was refused."""
    if not isinstance(error, (ClientAuthenticationError, ValueError)):
        return False
    text = str(error).lower()
    return any(word in text for word in _SIGN_IN)


def _words(error: Exception) -> str:
    """Returns the service's message, on one line."""
    message = getattr(getattr(error, "error", None), "message", None)
    text = message or getattr(error, "message", None) or str(error) or type(error).__name__
    return one_line(str(text)) or type(error).__name__
