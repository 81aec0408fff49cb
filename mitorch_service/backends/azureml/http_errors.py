"""What is told of an error of Azure ML, whichever SDK it comes from. No SDK is needed for that."""

from __future__ import annotations

from mitorch_service.errors import BackendError, BackendUnavailable
from mitorch_service.models.secrets import mask_secrets

_LATER = "The next pass asks again."
_REMEDIES = {
    400: "Correct what the message names in MITORCH_CLUSTERS, or in the training's resources.",
    403: "Give the identity in `auth` the role AzureML Data Scientist there (Contributor, to create computes).",
    404: "Correct subscription_id, resource_group, workspace, compute or environment in MITORCH_CLUSTERS.",
    409: "Look at the run in the studio; retry its training under a new attempt.",
}
_LONGEST = 300  # characters of the service's own words


class Gone(BackendError):
    """What was asked for is not there."""


class WrongRequest(BackendError):
    """What was asked for is wrong in itself, or in the way of what is there: another request may be right."""


def answered(cluster: str, status: int, words: str) -> BackendError:
    """For an HTTP status."""
    if status == 404:
        return Gone(cluster, words, _REMEDIES[404])
    if status == 401:
        remedy = "Check `auth` of the cluster, if this goes on."
        return BackendUnavailable(cluster, f"the sign-in was refused or has expired ({words})", remedy)
    if status in (400, 409, 413, 422):
        return WrongRequest(cluster, words, _REMEDIES.get(status, _REMEDIES[400]))
    if 400 <= status < 500 and status not in (408, 429):
        return BackendError(cluster, words, _REMEDIES.get(status, _REMEDIES[400]))
    return BackendUnavailable(cluster, f"Azure answered {status} ({words})", _LATER)


def sign_in_failed(cluster: str, words: str) -> BackendError:
    """Where no token could be had."""
    remedy = "Check tenant, service principal and password in `auth`, and whether the password has expired."
    return BackendError(cluster, f"the sign-in failed: {words}", remedy)


def unreachable(cluster: str, error: Exception) -> BackendError:
    """Where there was no answer."""
    return BackendUnavailable(cluster, f"it cannot be reached ({type(error).__name__})", _LATER)


def refused(cluster: str, words: str) -> BackendError:
    """What the SDK itself finds wrong."""
    return WrongRequest(cluster, words, _REMEDIES[400])


def not_understood(cluster: str, words: str) -> BackendError:
    """An answer that makes no sense."""
    return BackendUnavailable(cluster, f"Azure answered what we do not understand ({words})", _LATER)


def one_line(text: str) -> str:
    """The service's words without secrets; empty when there are none."""
    return mask_secrets(" ".join(text.split())[:_LONGEST]).rstrip(". ")
