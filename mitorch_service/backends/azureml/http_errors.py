"""Translates HTTP errors of Azure ML, from either SDK, to ours. Imports no SDK."""

from __future__ import annotations

from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.errors import BackendError, BackendUnavailable
from mitorch_service.models.secrets import mask_secrets

_LATER = "The next pass tries again."
_REMEDIES = {
    400: "Correct what the message names in MITORCH_CLUSTERS, or in the training's resources.",
    403: "Give the identity in `auth` the role AzureML Data Scientist there (Contributor, to create computes).",
    404: "Correct subscription_id, resource_group, workspace, compute or environment in MITORCH_CLUSTERS.",
}
_LONGEST = 300  # characters of the service's message


class InvalidRequest(BackendError):
    """The request is invalid; a different request may succeed."""


def answered(cluster: str, status: int, words: str) -> BackendError:
    """Returns the error for an HTTP status; `words`: the service's message."""
    if status == 401:
        remedy = "If this continues, check `auth` of the cluster."
        return BackendUnavailable(cluster, f"the sign-in was refused or has expired ({words})", remedy)
    if status == 409:  # it exists already, or is being changed: never a reason to give up, as it may be ours
        return BackendUnavailable(cluster, f"Azure says that it exists already ({words})", _LATER)
    if status in (400, 413, 422):
        return InvalidRequest(cluster, words, _REMEDIES.get(status, _REMEDIES[400]))
    if 400 <= status < 500 and status not in (408, 429):
        return BackendError(cluster, words, _REMEDIES.get(status, _REMEDIES[400]))
    return BackendUnavailable(cluster, f"Azure answered {status} ({words})", _LATER)


def sign_in_failed(cluster: str, words: str) -> BackendError:
    """Returns the error if no token could be obtained."""
    remedy = "Check tenant, service principal and password in `auth`, and whether the password has expired."
    return BackendError(cluster, f"the sign-in failed: {words}", remedy)


def unreachable(cluster: str, error: Exception) -> BackendError:
    """Returns the error if there was no answer."""
    return BackendUnavailable(cluster, f"it cannot be reached ({type(error).__name__})", _LATER)


def refused(cluster: str, words: str) -> BackendError:
    """Returns the error if the SDK itself rejects the request."""
    return InvalidRequest(cluster, words, _REMEDIES[400])


def not_understood(cluster: str, words: str) -> BackendError:
    """Returns the error for an answer that cannot be interpreted."""
    return BackendUnavailable(cluster, f"Azure's answer is not understood ({words})", _LATER)


def one_line(text: str) -> str:
    """Returns the service's message on one line, without secrets; empty if there is none."""
    return mask_secrets(" ".join(text.split()))[:_LONGEST].rstrip(". ")


def no_data_asset(cluster: AzureMLCluster, name: str, version: str | None, kind: str) -> BackendError:
    """Returns the error for a data set or data asset that is not there."""
    wanted = f"{name!r}" if version is None else f"{name!r} with the version {version}"
    remedy = "Correct its name, look at Data in the studio, or name another cluster by --cluster."
    return BackendError(cluster.name, f"the workspace {cluster.workspace} has no {kind} {wanted}", remedy)
