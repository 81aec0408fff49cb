"""login.microsoftonline.com: tokens for service principals and persons, and their check."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any
from urllib.parse import parse_qs

from tests.azureml_emulator.messages import Refusal, Request, Response, reply
from tests.azureml_emulator.router import Call, Routes
from tests.azureml_emulator.state import Azure, Principal, Token, Workspace

HOST = "login.microsoftonline.com"
ROUTES = Routes("login", public=True)


@ROUTES.add("identity.configuration", "GET", "/{tenant}/v2.0/.well-known/openid-configuration")
def configuration(call: Call) -> Response:
    """Returns the addresses that issue tokens. A tenant without principals is unknown."""
    tenant = call.path["tenant"]
    if tenant not in _tenants(call.azure):
        return _problem(400, "invalid_tenant", 90002, f"Tenant '{tenant}' not found. Check to make sure you have it.")
    base = f"https://{HOST}/{tenant}"
    return reply(
        {
            "issuer": f"{base}/v2.0",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
        }
    )


@ROUTES.add("identity.instance", "GET", "/{tenant}/discovery/instance")
def instance(call: Call) -> Response:
    """The names that this authority has."""
    endpoint = f"https://{HOST}/{call.path['tenant']}/v2.0/.well-known/openid-configuration"
    metadata = [{"preferred_network": HOST, "preferred_cache": "login.windows.net", "aliases": [HOST]}]
    return reply({"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": metadata})


@ROUTES.add("identity.realm", "GET", "/common/userrealm/{user}")
def realm(call: Call) -> Response:
    """How a person signs in: by password, here."""
    return reply({"ver": "1.0", "account_type": "Managed", "domain_name": "emulator", "cloud_instance_name": HOST})


@ROUTES.add("identity.token", "POST", "/{tenant}/oauth2/v2.0/token")
def token(call: Call) -> Response:
    """A token for whoever has the right secret."""
    form = {name: values[0] for name, values in parse_qs(call.request.body.decode()).items()}
    name, secret = _credentials(form)
    principal = next((p for p in call.azure.principals if (p.tenant, p.id) == (call.path["tenant"], name)), None)
    if principal is None:
        return _problem(400, "unauthorized_client", 700016, f"Application with identifier '{name}' was not found.")
    if principal.secret != secret:
        return _problem(401, "invalid_client", 7000215, "Invalid client secret provided.")
    if principal.expired:
        return _problem(401, "invalid_client", 7000222, f"The provided client secret keys for '{name}' are expired.")
    lifetime = call.azure.settings.token_lifetime
    given = issue(call.azure, principal, lifetime)
    return reply({"token_type": "Bearer", "expires_in": int(lifetime), "access_token": given})


def issue(azure: Azure, principal: Principal, lifetime: float) -> str:
    """A new bearer token, which `check` knows until it expires."""
    now = time.time()
    claims = {
        "iss": f"https://{HOST}/{principal.tenant}/v2.0",
        "aud": "https://management.azure.com/",
        "tid": principal.tenant,
        "appid": principal.id,
        "oid": str(uuid.uuid5(uuid.NAMESPACE_OID, principal.id)),
        "jti": str(uuid.uuid4()),
        "iat": int(now),
        "nbf": int(now),
        "exp": int(now + lifetime),
    }
    given = _jwt(claims)
    with azure.changed:
        azure.tokens[given] = Token(principal, now + lifetime)
    return given


def issue_for_run(azure: Azure, workspace: Workspace, lifetime: float = 7 * 24 * 3600.0) -> str:
    """The token that a job is started with: good for its own workspace."""
    job = Principal("", "the run", "", workspaces=[workspace.name])
    return issue(azure, job, lifetime)


def check(azure: Azure, request: Request) -> Principal:
    """Who asks; a refusal where the token is missing, unknown or has expired."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not given:
        raise Refusal(401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
    known = azure.tokens.get(given)
    if known is None:
        raise Refusal(401, "InvalidAuthenticationToken", "The access token is invalid.")
    if known.expires_at <= time.time():
        raise Refusal(401, "ExpiredAuthenticationToken", "The access token expiry has passed.")
    return known.principal


def known(azure: Azure, request: Request) -> bool:
    """Whether the request has a good token."""
    try:
        return bool(check(azure, request))
    except Refusal:
        return False


def expire_all(azure: Azure) -> int:
    """Every token given out so far is no longer good, those of running jobs aside; returns how many there were."""
    with azure.changed:
        given = [token for token in azure.tokens.values() if token.principal.tenant]
        for token in given:
            token.expires_at = 0.0
        return len(given)


def _credentials(form: dict[str, str]) -> tuple[str, str]:
    """Name and secret of a service principal, or of a person."""
    if form.get("grant_type") == "password":
        return form.get("username", ""), form.get("password", "")
    return form.get("client_id", ""), form.get("client_secret", "")


def _tenants(azure: Azure) -> set[str]:
    return {principal.tenant for principal in azure.principals} | {"common", "organizations"}


def _problem(status: int, error: str, number: int, message: str) -> Response:
    """An error as Entra ID words it."""
    return reply({"error": error, "error_description": f"AADSTS{number}: {message}", "error_codes": [number]}, status)


def _jwt(claims: dict[str, Any]) -> str:
    head, body = (_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    signature = hmac.new(b"emulator", f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{_base64(signature)}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
