"""Assets that the second SDK manages through ARM: code, environments, data, models and datastores."""

from __future__ import annotations

import uuid
from typing import Any

from tests.azureml_emulator import blobs
from tests.azureml_emulator.messages import Refusal, Response, reply
from tests.azureml_emulator.router import Call, Routes
from tests.azureml_emulator.state import Workspace

ROUTES = Routes("arm")
_KINDS = "codes", "environments", "data", "models"
_SYSTEM = {"createdAt": "2026-01-01T00:00:00.000000+00:00", "createdBy": "emulator", "createdByType": "Application"}


@ROUTES.add("version.upload", "POST", "{WS}/{kind}/{name}/versions/{version}/startPendingUpload")
def start_upload(call: Call) -> Response:
    """A container of its own to upload files to."""
    url = blobs.container_url(call.workspace(), f"upload-{uuid.uuid4()}")
    credential = {"credentialType": "SAS", "sasUri": url}
    reference = {"blobUri": url.partition("?")[0], "storageAccountArmId": "", "credential": credential}
    return reply(
        {
            "pendingUploadId": str(uuid.uuid4()),
            "pendingUploadType": "TemporaryBlobReference",
            "blobReferenceForConsumption": reference,
        }
    )


@ROUTES.add("version.create", "PUT", "{WS}/{kind}/{name}/versions/{version}")
def create(call: Call) -> Response:
    """A version, which never changes; of code also the snapshot that jobs unpack."""
    workspace, kept = call.workspace(), _kept(call)
    identity = f"{workspace.path}/{call.path['kind']}/{call.path['name']}/versions/{call.path['version']}"
    flags = {"isArchived": False, "isAnonymous": False}
    properties: dict[str, Any] = {"description": None, "tags": {}, "properties": {}, "flavors": {}, **flags}
    wanted = call.request.json()["properties"]
    with call.azure.changed:
        kept[call.path["version"]] = document(identity, call.path["version"], {**properties, **wanted})
        if wanted.get("codeUri"):
            workspace.snapshots[identity] = _files(call, wanted["codeUri"])
    return reply(kept[call.path["version"]], 201)


@ROUTES.add("version.list", "GET", "{WS}/{kind}/{name}/versions")
def versions(call: Call) -> Response:
    """All versions of a thing, newest first; where a hash is said, those of this content, whatever their name."""
    wanted = call.request.query.get("hash")
    if wanted is None:
        return reply({"value": list(reversed(_kept(call).values()))})
    kept = _names(call)
    every = [version for versions in kept.values() for version in versions.values()]
    return reply({"value": [v for v in every if (v["properties"]["properties"] or {}).get("hash_sha256") == wanted]})


@ROUTES.add("version.get", "GET", "{WS}/{kind}/{name}/versions/{version}")
def version(call: Call) -> Response:
    """One version."""
    kept = _kept(call)
    if call.path["version"] not in kept:
        raise Refusal(404, "NotFound", f"{call.path['name']}:{call.path['version']} was not found.")
    return reply(kept[call.path["version"]])


@ROUTES.add("datastore.get", "GET", "{WS}/datastores/{name}")
def datastore(call: Call) -> Response:
    """A datastore; the workspace's own are always there."""
    name, known = call.path["name"], _datastores(call)
    if name not in known:
        raise Refusal(404, "NotFound", f"Datastore {name} was not found.")
    return reply(_shown(known[name]))


@ROUTES.add("datastore.list", "GET", "{WS}/datastores")
def datastores(call: Call) -> Response:
    """All of them, without their secrets."""
    return reply({"value": [_shown(kept) for kept in _datastores(call).values()]})


@ROUTES.add("secret.datastore", "POST", "{WS}/datastores/{name}/listSecrets")
def datastore_secrets(call: Call) -> Response:
    """The secrets of one."""
    kept = _datastores(call).get(call.path["name"])
    if kept is None:
        raise Refusal(404, "NotFound", f"Datastore {call.path['name']} was not found.")
    return reply(kept["properties"]["credentials"].get("secrets") or {"secretsType": "None"})


@ROUTES.add("datastore.create", "PUT", "{WS}/datastores/{name}")
def create_datastore(call: Call) -> Response:
    """Registers a datastore."""
    workspace, name = call.workspace(), call.path["name"]
    properties = {"tags": {}, "properties": {}, "isDefault": False, **call.request.json()["properties"]}
    kept = workspace.assets.setdefault("v2/datastores", {})
    kept[name] = document(f"{workspace.path}/datastores/{name}", name, properties)
    return reply(_shown(kept[name]), 201)


@ROUTES.add("container.get", "GET", "{WS}/{kind}/{name}")
def container(call: Call) -> Response:
    """Returns the container of all versions of an asset."""
    kept = _kept(call)
    if not kept:
        raise Refusal(404, "NotFound", f"{call.path['name']} was not found.")
    numbers = {"latestVersion": next(reversed(kept)), "nextVersion": str(len(kept) + 1)}
    identity = f"{call.workspace().path}/{call.path['kind']}/{call.path['name']}"
    return reply(document(identity, call.path["name"], {"isArchived": False, **numbers}))


def document(identity: str, name: str, properties: dict[str, Any]) -> dict[str, Any]:
    """A resource of ARM."""
    kind = "Microsoft.MachineLearningServices/workspaces/" + "/".join(identity.split("/")[9::2])
    return {"id": identity, "name": name, "type": kind, "properties": properties, "systemData": _SYSTEM}


def _datastores(call: Call) -> dict[str, Any]:
    """All datastores by their names, also those that the first SDK has registered."""
    workspace = call.workspace()
    found = {}
    for name, kept in workspace.assets.get("datastores", {}).items():
        section = dict(kept.get("azureStorageSection") or {})
        kind, credential = str(section.get("credentialType")), section.get("credential")
        field = {"Sas": "sasToken", "AccountKey": "key"}.get(kind)
        secrets = {"credentialsType": kind, "secrets": {"secretsType": kind, field: credential}} if field else None
        properties = {"datastoreType": "AzureBlob", **section, "credentials": secrets or {"credentialsType": "None"}}
        found[name] = document(f"{workspace.path}/datastores/{name}", name, properties)
    return {**_own(workspace), **found, **workspace.assets.get("v2/datastores", {})}


def _own(workspace: Workspace) -> dict[str, Any]:
    """The workspace's default datastore, with the key of its account."""
    name, secrets = "workspaceblobstore", {"secretsType": "AccountKey", "key": blobs.ACCOUNT_KEY}
    where = {"accountName": workspace.account, "containerName": "azureml-blobstore"}
    how = {"endpoint": "core.windows.net", "protocol": "https", "datastoreType": "AzureBlob", "isDefault": True}
    properties = {**where, **how, "credentials": {"credentialsType": "AccountKey", "secrets": secrets}}
    return {name: document(f"{workspace.path}/datastores/{name}", name, properties)}


def _shown(datastore: dict[str, Any]) -> dict[str, Any]:
    """A datastore as every answer but that of its secrets has it."""
    properties = datastore["properties"]
    kind = {"credentialsType": properties["credentials"]["credentialsType"]}
    return {**datastore, "properties": {**properties, "credentials": kind}}


def _names(call: Call) -> dict[str, Any]:
    """All things of a kind by their names."""
    kind = call.path["kind"].lower()
    if kind not in _KINDS:
        raise Refusal(404, "NotEmulated", f"The emulator keeps {', '.join(_KINDS)}, no {kind}.")
    names: dict[str, Any] = call.workspace().assets.setdefault(f"v2/{kind}", {})
    return names


def _kept(call: Call) -> dict[str, Any]:
    """The versions of a thing by their names."""
    versions: dict[str, Any] = _names(call).setdefault(call.path["name"], {})
    return versions


def _files(call: Call, url: str) -> dict[str, str]:
    """The files of code that was uploaded below an address."""
    prefix = blobs.name_of(url).rstrip("/") + "/"
    return {name.removeprefix(prefix): name for name in call.azure.blobs.names(prefix)}
