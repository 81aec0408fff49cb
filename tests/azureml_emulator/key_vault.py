"""kv<workspace>.vault.azure.net, the workspace's key vault as azure-keyvault-secrets reads it; and the endpoint from
which a node gets the tokens of its compute's identity."""

from __future__ import annotations

import time
from typing import Any

from tests.azureml_emulator import identity
from tests.azureml_emulator.messages import Refusal, Response, refuse, reply
from tests.azureml_emulator.router import Call, Routes
from tests.azureml_emulator.state import Azure, Principal, Workspace

SUFFIX = ".vault.azure.net"
ROUTES = Routes("vault", public=True)  # it asks for the token itself
CLIENT_ID = "55555555-5555-5555-5555-555555555555"  # of the computes' identity, which is assigned by their owner
SECRET = "identity-endpoint-s3cret"
_TENANT = "11111111-1111-1111-1111-111111111111"


@ROUTES.add("secret.get", "GET", "/secrets/{secret}")
@ROUTES.add("secret.get", "GET", "/secrets/{secret}/")
def get(call: Call) -> Response:
    """One secret, for an identity that may read secrets; whoever comes without a token is told where to get one."""
    try:
        principal = identity.check(call.azure, call.request)
    except Refusal as refusal:
        response = refuse(refusal)
        where = f'authorization="https://{identity.HOST}/{_TENANT}", resource="https://vault.azure.net"'
        response.headers["WWW-Authenticate"] = f"Bearer {where}"
        return response
    if not principal.reads_vaults:
        raise Refusal(403, "Forbidden", f"Caller {principal.id} is not authorized to perform action on resource.")
    workspace = next(one for one in call.azure.workspaces if host_of(one) == call.request.host)
    name = call.path["secret"]
    if name not in workspace.secrets:
        raise Refusal(404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault.")
    return reply({"id": f"https://{call.request.host}/secrets/{name}/1", "value": workspace.secrets[name]})


def host_of(workspace: Workspace) -> str:
    """Returns the host of a workspace's vault."""
    return f"kv{workspace.name}{SUFFIX}".lower()


def identity_token(azure: Azure, secret: str | None, client_id: str | None) -> dict[str, Any] | None:
    """A token for the computes' identity; None without the endpoint's secret, or the id of that identity."""
    if secret != SECRET or client_id != CLIENT_ID:
        return None
    principal = Principal(_TENANT, CLIENT_ID, "", reads_vaults=azure.settings.identity_reads_vaults)
    token = identity.issue(azure, principal, 3600.0)
    return {"access_token": token, "expires_on": int(time.time() + 3600), "token_type": "Bearer"}
