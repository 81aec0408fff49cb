"""The secrets of a workspace (credential service, which stands before its Key Vault)."""

from __future__ import annotations

from tests.azureml_emulator.messages import Refusal, Response, reply
from tests.azureml_emulator.router import Call, Routes

ROUTES = Routes("api")
_SECRETS = "/credential/v2.0{WS}/secrets"


@ROUTES.add("secret.set", "PUT", _SECRETS)
@ROUTES.add("secret.set", "POST", _SECRETS)
def put(call: Call) -> Response:
    """Keeps a secret under its name."""
    asked = call.request.json()
    call.workspace().secrets[asked["name"]] = asked["value"]
    return reply({})


@ROUTES.add("secret.set", "PUT", _SECRETS + ":putbatch")
@ROUTES.add("secret.set", "POST", _SECRETS + ":putbatch")
def put_batch(call: Call) -> Response:
    """Keeps several."""
    secrets = {secret["name"]: secret["value"] for secret in call.request.json()["secrets"]}
    call.workspace().secrets.update(secrets)
    return reply({"secrets": [{"name": name} for name in secrets], "notFoundSecrets": []})


@ROUTES.add("secret.get", "POST", _SECRETS + ":getbatch")
@ROUTES.add("secret.get", "PUT", _SECRETS + ":getbatch")
def get_batch(call: Call) -> Response:
    """Several secrets; says which are not there."""
    names = [secret["name"] for secret in call.request.json()["secrets"]]
    known = call.workspace().secrets
    found = [{"name": name, "value": known[name]} for name in names if name in known]
    return reply({"secrets": found, "notFoundSecrets": [name for name in names if name not in known]})


@ROUTES.add("secret.list", "GET", _SECRETS)
def listing(call: Call) -> Response:
    """The names of all."""
    return reply({"value": [{"name": name} for name in call.workspace().secrets], "continuationToken": None})


@ROUTES.add("secret.get", "GET", _SECRETS + "/{secret}")
def get(call: Call) -> Response:
    """One secret."""
    secrets, name = call.workspace().secrets, call.path["secret"]
    if name not in secrets:
        raise Refusal(404, "UserError", f"Secret {name} was not found in the Key Vault.")
    return reply({"name": name, "value": secrets[name]})


@ROUTES.add("secret.delete", "DELETE", _SECRETS + "/{secret}")
def delete(call: Call) -> Response:
    """Forgets a secret."""
    call.workspace().secrets.pop(call.path["secret"], None)
    return reply({})
