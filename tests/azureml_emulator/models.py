"""The registry of models (model management service)."""

from __future__ import annotations

import uuid
from typing import Any

from tests.azureml_emulator.messages import Refusal, Response, reply
from tests.azureml_emulator.router import Call, Routes

ROUTES = Routes("api")
_BASE = "/modelmanagement/v1.0{WS}"
_DATE = "2026-01-01T00:00:00.000000+00:00"


@ROUTES.add("asset.create", "POST", _BASE + "/assets")
def create_asset(call: Call) -> Response:
    """The files of a model, as one thing with an id."""
    asset = {**call.request.json(), "id": str(uuid.uuid4()), "createdTime": _DATE}
    call.workspace().assets.setdefault("assets", {})[asset["id"]] = asset
    return reply(asset)


@ROUTES.add("asset.get", "GET", _BASE + "/assets/{asset}")
def asset(call: Call) -> Response:
    """The files of a model."""
    known = call.workspace().assets.get("assets", {})
    if call.path["asset"] not in known:
        raise Refusal(404, "AssetNotFound", f"Asset {call.path['asset']} was not found.")
    return reply(known[call.path["asset"]])


@ROUTES.add("model.register", "POST", _BASE + "/models")
def register(call: Call) -> Response:
    """A new version of a model."""
    asked = call.request.json()
    models = _models(call)
    with call.azure.changed:
        version = 1 + max((m["version"] for m in models.values() if m["name"] == asked["name"]), default=0)
        name = f"{asked['name']}:{version}"
        models[name] = {"datasets": [], **asked, "id": name, "version": version, "createdTime": _DATE}
    return reply(models[name])


@ROUTES.add("model.list", "GET", _BASE + "/models")
def listing(call: Call) -> Response:
    """Models, newest first, of a name or with tags ("name" or "name=value") where asked for."""
    query = call.request.query
    found = [model for model in reversed(_models(call).values()) if query.get("name") in (None, model["name"])]
    tags = [tag.split("=", 1) for tag in query.get("tag", query.get("tags", "")).split(",") if tag]
    return reply({"value": [model for model in found if all(_has(model, tag) for tag in tags)], "nextLink": None})


@ROUTES.add("model.get", "GET", _BASE + "/models/{model}")
def get(call: Call) -> Response:
    """One version of a model."""
    return reply(_model(call))


@ROUTES.add("model.patch", "PATCH", _BASE + "/models/{model}")
def patch(call: Call) -> Response:
    """Other tags or properties (RFC 6902, as far as the SDK uses it)."""
    model = _model(call)
    for change in call.request.json():
        model[change["path"].lstrip("/")] = change.get("value")
    return reply(model)


@ROUTES.add("model.delete", "DELETE", _BASE + "/models/{model}")
def delete(call: Call) -> Response:
    """Forgets one version of a model."""
    _models(call).pop(call.path["model"], None)
    return reply({})


def _models(call: Call) -> dict[str, Any]:
    models: dict[str, Any] = call.workspace().assets.setdefault("models", {})
    return models


def _model(call: Call) -> dict[str, Any]:
    model: dict[str, Any] | None = _models(call).get(call.path["model"])
    if model is None:
        raise Refusal(404, "ModelNotFound", f"Model {call.path['model']} was not found.")
    return model


def _has(model: dict[str, Any], tag: list[str]) -> bool:
    tags = model.get("kvTags") or {}
    return tag[0] in tags and (len(tag) == 1 or tags[tag[0]] == tag[1])
