"""Every error of azureml-core becomes one of ours, here: ask again later, or this is wrong and how to repair it.

The SDK's messages quote requests and headers: what is told of them is one line, masked, and they are not chained.
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
    """Whatever the SDK raises inside leaves as BackendError, or as BackendUnavailable where asking again may help."""
    try:
        yield
    except BackendError:
        raise
    except Exception as error:  # noqa: BLE001 - the SDK raises from a dozen families, and KeyError for odd replies
        raise translate(cluster, error) from None


def translate(cluster: str, error: Exception) -> BackendError:
    """The one table: an HTTP status first, then what kind of exception it is."""
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
    # What it says of environments it raises as bare exceptions.
    told = isinstance(error, AzureMLException) or type(error) is Exception
    match = _STATUS.search(text) if told else None
    return None if match is None else int(match.group(1))


def words_of(error: Exception) -> str:
    """What the service says, in one line."""
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
