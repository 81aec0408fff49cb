"""Uploads the code to the workspace, once per content, and the files of models.

The SDK can upload both too, but makes more calls each time, and waits forever if a file cannot be uploaded (azure-ai-ml
1.35, without its progress bar).
"""

from __future__ import annotations

from pathlib import Path

from azure.storage.blob import ContainerClient

from mitorch_service.backends.azureml.v2.sdk import LIMITS, HttpResponseError
from mitorch_service.backends.azureml.v2.sdk_errors import status_of
from mitorch_service.backends.azureml.v2.services import Services

_LIMITS = {**LIMITS, "initial_backoff": 1, "increment_base": 1}  # blob storage has its own names for the backoff


def upload_code(services: Services, folder: Path) -> str:
    """Uploads the code, unless the workspace has it; returns its id. `folder`: flat, named by its content's hash.

    The version is created last, so that one that exists is complete; simultaneous uploads use separate containers.
    """
    path = f"/codes/mitorch-{folder.name}/versions/1"
    try:
        return str(services.arm("GET", path)["id"])
    except HttpResponseError as error:
        if status_of(error) != 404:
            raise
    properties = {"codeUri": upload_folder(services, path, folder), "isAnonymous": True}
    return str(services.arm("PUT", path, {"properties": properties})["id"])


def upload_folder(services: Services, path: str, folder: Path) -> str:
    """Uploads a folder's files, which are in it directly, for the version at `path` that is about to be created;
    returns where they are."""
    begun = services.arm("POST", f"{path}/startPendingUpload", {"pendingUploadType": "TemporaryBlobReference"})
    place = begun["blobReferenceForConsumption"]
    with ContainerClient.from_container_url(place["credential"]["sasUri"], **_LIMITS) as container:
        for file in sorted(folder.iterdir()):
            with file.open("rb") as content:
                container.upload_blob(f"{folder.name}/{file.name}", content, overwrite=True)
    return f"{place['blobUri']}/{folder.name}"
