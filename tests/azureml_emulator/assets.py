"""Environments, datastores and data sets: kept and given back, never used."""

from __future__ import annotations

import uuid
from typing import Any

from tests.azureml_emulator.blobs import ACCOUNT_KEY
from tests.azureml_emulator.messages import Refusal, Response, reply
from tests.azureml_emulator.router import Call, Routes

ROUTES = Routes("api")
_DATASTORES = "/datastore/v1.0{WS}/datastores"


@ROUTES.add("environment.set", "PUT", "/environment/v1.0{WS}/environments/{name}")
def put_environment(call: Call) -> Response:
    """A new version of an environment; the last one again where nothing has changed."""
    versions = _kept(call, "environments").setdefault(call.path["name"], [])
    wanted = {**call.request.json(), "name": call.path["name"], "version": None}
    with call.azure.changed:
        if not versions or {**versions[-1], "version": None} != wanted:
            versions.append({**wanted, "version": str(len(versions) + 1)})
    return reply(versions[-1])


@ROUTES.add("environment.get", "GET", "/environment/v1.0{WS}/environments/{name}")
@ROUTES.add("environment.get", "GET", "/environment/v1.0{WS}/environments/{name}/versions/{version}")
def environment(call: Call) -> Response:
    """One version of an environment, the last unless said otherwise."""
    name, version = call.path["name"], call.path.get("version")
    versions = _kept(call, "environments").get(name, [])
    found = next((e for e in reversed(versions) if version in (None, e["version"])), None)
    if found is None:
        raise Refusal(404, "UserError", f"Environment {name} was not found.")
    return reply(found)


@ROUTES.add("datastore.create", "POST", _DATASTORES)
def create_datastore(call: Call) -> Response:
    """Registers a datastore; one of this name must not be there, unless the client says that it may."""
    asked = call.request.json()
    kept = _kept(call, "datastores")
    if asked["name"] in kept and call.request.query.get("createIfNotExists", "").lower() != "true":
        raise Refusal(400, "UserError", "Another datastore with the same name already exists.")
    kept.setdefault(asked["name"], asked)
    return reply({})


@ROUTES.add("datastore.update", "PUT", _DATASTORES + "/{name}")
def update_datastore(call: Call) -> Response:
    """Other credentials for a datastore."""
    _kept(call, "datastores")[call.path["name"]] = call.request.json()
    return reply({})


@ROUTES.add("datastore.get_default", "GET", "/datastore/v1.0{WS}/default")
def default_datastore(call: Call) -> Response:
    """The workspace's own."""
    section = {"accountName": call.workspace().account, "containerName": "azureml-blobstore"}
    section |= {"credentialType": "AccountKey", "credential": ACCOUNT_KEY}
    return reply(_datastore({"name": "workspaceblobstore", "azureStorageSection": section}))


@ROUTES.add("datastore.list", "GET", _DATASTORES)
def datastores(call: Call) -> Response:
    """All that were registered."""
    value = [_datastore(datastore) for datastore in _datastores(call).values()]
    return reply({"value": value, "continuationToken": None})


@ROUTES.add("datastore.get", "GET", _DATASTORES + "/{name}")
def datastore(call: Call) -> Response:
    """One of them, with its credential in the field of its kind."""
    kept = _datastores(call)
    if call.path["name"] not in kept:
        raise Refusal(404, "UserError", f"Could not find datastore {call.path['name']}.")
    return reply(_datastore(kept[call.path["name"]]))


@ROUTES.add("datastore.delete", "DELETE", _DATASTORES + "/{name}")
def delete_datastore(call: Call) -> Response:
    """Forgets a datastore."""
    _kept(call, "datastores").pop(call.path["name"], None)
    return reply({})


@ROUTES.add("dataset.register", "POST", "/dataset/v1.0{WS}/datasets")
def register_dataset(call: Call) -> Response:
    """A data set, or a new version of one where the client says that it may be there."""
    asked = call.request.json()
    with call.azure.changed:
        versions = _kept(call, "datasets").setdefault(asked["name"], [])
        if versions and call.request.query.get("ifExistsOk", "").lower() != "true":
            raise Refusal(409, "UserError", f"A dataset named {asked['name']} is registered already.")
        saved = {"savedDatasetId": str(uuid.uuid4()), "versionId": str(len(versions) + 1)}
        id = str(uuid.uuid5(uuid.NAMESPACE_URL, asked["name"]))
        versions.append({**asked, "datasetId": id, "latest": {**(asked.get("latest") or {}), **saved}})
    return reply(versions[-1])


@ROUTES.add("dataset.list", "GET", "/dataset/v1.0{WS}/datasets")
def datasets(call: Call) -> Response:
    """The last version of each data set."""
    value = [versions[-1] for versions in _kept(call, "datasets").values() if versions]
    return reply({"value": value, "continuationToken": None})


@ROUTES.add("dataset.get", "GET", "/dataset/v1.0{WS}/datasets/query/name={name}")
def dataset(call: Call) -> Response:
    """One version of a data set, the last unless said otherwise."""
    name, wanted = call.path["name"], call.request.query.get("versionId")
    versions = _kept(call, "datasets").get(name, [])
    found = next((v for v in reversed(versions) if wanted in (None, v["latest"]["versionId"])), None)
    if found is None:
        raise Refusal(404, "UserError", f"Dataset {name} was not found.")
    return reply(found)


@ROUTES.add("dataset.version", "GET", "/data/v1.0{WS}/dataversion/unregistered-{saved}/versions/1")
def dataset_version(call: Call) -> Response:
    """Returns the contents of a saved data set."""
    for versions in _kept(call, "datasets").values():
        for version in versions:
            if version["latest"]["savedDatasetId"] == call.path["saved"]:
                return reply({"dataVersion": version["latest"], "legacyDataflow": version["latest"].get("dataflow")})
    raise Refusal(404, "UserError", f"Saved data set {call.path['saved']} was not found.")


def _kept(call: Call, kind: str) -> dict[str, Any]:
    kept: dict[str, Any] = call.workspace().assets.setdefault(kind, {})
    return kept


def _datastores(call: Call) -> dict[str, Any]:
    """All datastores by their names, also those that the second SDK has registered."""
    found = {}
    for name, known in call.workspace().assets.get("v2/datastores", {}).items():
        fields = known["properties"]
        secrets = fields["credentials"].get("secrets") or {}
        credential = {"credential": secrets.get("sasToken") or secrets.get("key")}
        places = {field: fields.get(field) for field in ("accountName", "containerName", "endpoint", "protocol")}
        section = {**places, "credentialType": fields["credentials"]["credentialsType"], **credential}
        found[name] = {"name": name, "dataStoreType": "AzureBlob", "azureStorageSection": section}
    return {**found, **_kept(call, "datastores")}


def _datastore(kept: dict[str, Any]) -> dict[str, Any]:
    section = dict(kept.get("azureStorageSection") or {})
    credential, kind = section.pop("credential", None), str(section.get("credentialType"))
    secret = {
        "accountKey": credential if kind == "AccountKey" else None,
        "sasToken": credential if kind == "Sas" else None,
    }
    where = {"endpoint": section.get("endpoint") or "core.windows.net", "protocol": section.get("protocol") or "https"}
    return {"dataStoreType": "AzureBlob", "tags": {}, **kept, "azureStorageSection": {**section, **secret, **where}}
