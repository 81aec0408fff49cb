"""Every error of azure-ai-ml becomes one of ours, here: ask again later, or this is wrong and how to repair it.

The SDK's messages quote requests: what is told of them is one line, masked, and they are not chained.
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
        return sign_in_failed(cluster, words)
    if status is not None:
        return answered(cluster, status, words)
    if isinstance(error, MlException):
        return refused(cluster, words)
    if isinstance(error, (AzureError, OSError)):
        return unreachable(cluster, error)
    return not_understood(cluster, words)


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
    return one_line(str(text)) or type(error).__name__
