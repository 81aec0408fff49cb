"""Translates every error of azureml-core to one of ours: temporary, or permanent with a remedy.

The SDK's messages quote requests and headers, so that only one line of them is used, masked, and they are not chained.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError, ClientAuthenticationError

from mitorch_service.backends.azureml.http_errors import (
    answered,
    not_understood,
    one_line,
    refused,
    sign_in_failed,
    unreachable,
)
from mitorch_service.backends.azureml.v1.sdk import AzureMLException, ClientRequestError, HttpOperationError, requests
from mitorch_service.errors import BackendError

_STATUS = re.compile(r"(?:status_code|Response Code|StatusCode|Code)\"?:\s*(\d{3})\b")
_MESSAGE = re.compile(r'\\?"[mM]essage\\?":\s*\\?"(.*?)\\?"[,}\s]')
_SIGN_IN = ("AADSTS", "authority", "tenant", "az login")


@contextmanager
def sdk_errors(cluster: str) -> Iterator[None]:
    """Raises BackendError for the SDK's errors inside, or BackendUnavailable if a later call may succeed."""
    try:
        yield
    except BackendError:
        raise
    except Exception as error:  # noqa: BLE001 - the SDK raises a dozen families of errors, and KeyError for odd replies
        raise translate(cluster, error) from None


def translate(cluster: str, error: Exception) -> BackendError:
    """Returns our error by HTTP status, or else by the kind of exception."""
    status, words = status_of(error), words_of(error)
    if status is not None:
        return answered(cluster, status, words)
    if _is_network(error):
        return unreachable(cluster, error)
    if _is_sign_in(error, words):
        return sign_in_failed(cluster, words)
    if isinstance(error, (AzureMLException, AzureError)):
        return refused(cluster, words)
    return not_understood(cluster, words)


def status_of(error: Exception) -> int | None:
    """Returns the HTTP status of an exception, which the SDK keeps in an attribute or only in its text."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None) or getattr(error, "status_code", None)
    if isinstance(status, int):
        return status
    text = str(error)
    if "ComputeTargetNotFound" in text:
        return 404
    if "status code 'Forbidden'" in text:
        return 403
    # For environments the SDK raises bare exceptions.
    from_sdk = isinstance(error, AzureMLException) or type(error) is Exception
    match = _STATUS.search(text) if from_sdk else None
    return None if match is None else int(match.group(1))


def words_of(error: Exception) -> str:
    """Returns the service's message, on one line."""
    text = str(getattr(error, "message", None) or error) or type(error).__name__
    match = _MESSAGE.search(text)
    if match is not None:
        text = _unescaped(match.group(1))
    return one_line(text) or type(error).__name__


def _is_network(error: Exception) -> bool:
    if isinstance(error, (AzureMLException, HttpOperationError, ClientAuthenticationError)):
        return False
    return isinstance(error, (requests.exceptions.RequestException, ClientRequestError, AzureError, OSError))


def _is_sign_in(error: Exception, words: str) -> bool:
    known = isinstance(error, ClientAuthenticationError) or "Authentication" in type(error).__name__
    return known or any(word.lower() in words.lower() for word in _SIGN_IN)


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text
