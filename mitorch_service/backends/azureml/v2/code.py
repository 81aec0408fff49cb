"""The code as the workspace keeps it: a version named after its content, uploaded once.

The SDK can upload code too, but asks for more each time, and waits for ever for a file that could not be uploaded
(azure-ai-ml 1.35, without its progress bar).
"""

from __future__ import annotations

from pathlib import Path

from azure.storage.blob import ContainerClient

from mitorch_service.backends.azureml.v2.sdk import LIMITS, HttpResponseError
from mitorch_service.backends.azureml.v2.sdk_errors import status_of
from mitorch_service.backends.azureml.v2.services import Services

_LIMITS = {**LIMITS, "initial_backoff": 1, "increment_base": 1}  # blob storage counts the seconds in its own way


def ensure(services: Services, folder: Path) -> str:
    """The id of the code. `folder`: is named after its content, and flat. A version that is there is complete, for it
    is created last; two that upload at the same time do so into containers of their own."""
    path = f"/codes/mitorch-{folder.name}/versions/1"
    try:
        return str(services.arm("GET", path)["id"])
    except HttpResponseError as error:
        if status_of(error) != 404:
            raise
    begun = services.arm("POST", f"{path}/startPendingUpload", {"pendingUploadType": "TemporaryBlobReference"})
    place = begun["blobReferenceForConsumption"]
    with ContainerClient.from_container_url(place["credential"]["sasUri"], **_LIMITS) as container:
        for file in sorted(folder.iterdir()):
            container.upload_blob(f"{folder.name}/{file.name}", file.read_bytes(), overwrite=True)
    properties = {"codeUri": f"{place['blobUri']}/{folder.name}", "isAnonymous": True}
    return str(services.arm("PUT", path, {"properties": properties})["id"])
