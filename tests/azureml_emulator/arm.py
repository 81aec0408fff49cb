"""management.azure.com: subscriptions, workspaces, discovery, usages and quotas."""

from __future__ import annotations

from typing import Any

from tests.azureml_emulator.messages import Refusal, Response, error_document, reply
from tests.azureml_emulator.router import Call, Routes
from tests.azureml_emulator.state import Workspace

HOST = "management.azure.com"
ROUTES = Routes("arm")
DISCOVERY = Routes("api", public=True)
CHALLENGE = Routes("arm", public=True)

_LOCATION = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{region}"
_GROUP = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.MachineLearningServices"


@ROUTES.add("subscriptions.list", "GET", "/subscriptions")
def subscriptions(call: Call) -> Response:
    """Lists the subscriptions in which the principal may use a workspace."""
    tenant = call.principal.tenant if call.principal else ""
    names = sorted({workspace.subscription for workspace in _visible(call)})
    return reply(
        {
            "value": [
                {
                    "id": f"/subscriptions/{name}",
                    "subscriptionId": name,
                    "displayName": name,
                    "state": "Enabled",
                    "tenantId": tenant,
                }
                for name in names
            ]
        }
    )


@ROUTES.add("workspace.get", "GET", "{WS}")
def workspace(call: Call) -> Response:
    """One workspace."""
    return reply(_document(call.workspace()))


@ROUTES.add("workspace.list", "GET", _GROUP + "/workspaces")
def workspaces(call: Call) -> Response:
    """Lists the workspaces of a resource group."""
    group = call.path["group"].lower()
    return reply({"value": [_document(found) for found in _visible(call) if found.group.lower() == group]})


@ROUTES.add(
    "workspace.list_all",
    "GET",
    "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/workspaces",
)
def all_workspaces(call: Call) -> Response:
    """Lists the workspaces of a subscription."""
    wanted = call.path["subscription"]
    return reply({"value": [_document(found) for found in _visible(call) if found.subscription == wanted]})


@ROUTES.add("resources.list", "GET", "/subscriptions/{subscription}/resources")
def resources(call: Call) -> Response:
    """Lists the workspaces of a subscription as resources of any kind, which is what azureml-core asks for."""
    wanted = call.path["subscription"]
    found = [_document(found) for found in _visible(call) if found.subscription == wanted]
    return reply({"value": [{key: one[key] for key in ("id", "name", "type", "location")} for one in found]})


@CHALLENGE.add("subscription.challenge", "GET", "/subscriptions/{subscription}")
def challenge(call: Call) -> Response:
    """Names the tenant of a subscription to whoever has no token."""
    message = "Authentication failed. The 'Authorization' header is missing."
    wanted = call.path["subscription"]
    if not any(found.subscription == wanted for found in call.azure.workspaces):
        raise Refusal(404, "SubscriptionNotFound", f"The subscription '{wanted}' could not be found.")
    tenant = next(principal.tenant for principal in call.azure.principals)
    header = f'Bearer authorization_uri="https://login.windows.net/{tenant}", error="invalid_token"'
    return reply(error_document("AuthenticationFailed", message), 401, {"WWW-Authenticate": header})


@ROUTES.add("usages.list", "GET", _LOCATION + "/usages")
def usages(call: Call) -> Response:
    """Cores in use and allowed, per family of machines."""
    value = []
    for found in _in_region(call):
        used = sum(len(compute.nodes) for compute in found.computes.values())
        for family, limit in found.quota.items():
            name = {"value": family, "localizedValue": family}
            value.append({"name": name, "currentValue": used, "limit": limit, "unit": "Count"})
    return reply({"value": value})


@ROUTES.add("quotas.list", "GET", _LOCATION + "/quotas")
def quotas(call: Call) -> Response:
    """Cores allowed, per family of machines and workspace."""
    value = [
        {"id": f"{found.path}/quotas/{family}", "name": {"value": family}, "limit": limit, "unit": "Count"}
        for found in _in_region(call)
        for family, limit in found.quota.items()
    ]
    return reply({"value": value})


@DISCOVERY.add("workspace.discovery", "GET", "/discovery{WS}")
def discovery(call: Call) -> Response:
    """Returns the addresses of the workspace's services."""
    found = call.workspace()
    names = ("api", "history", "experimentation", "hyperdrive", "modelmanagement", "pipelines", "metrics", "mlflow")
    return reply({**dict.fromkeys(names, found.api), "studio": "https://ml.azure.com"})


def discovery_url(found: Workspace) -> str:
    """Returns the workspace's discovery address."""
    return f"{found.api}/discovery{found.path}"


def _visible(call: Call) -> list[Workspace]:
    return [found for found in call.azure.workspaces if call.principal is None or call.principal.may_use(found)]


def _in_region(call: Call) -> list[Workspace]:
    subscription, region = call.path["subscription"], call.path["region"]
    return [found for found in _visible(call) if (found.subscription, found.region) == (subscription, region)]


def _document(found: Workspace) -> dict[str, Any]:
    group = f"/subscriptions/{found.subscription}/resourceGroups/{found.group}/providers"
    return {
        "id": found.path,
        "name": found.name,
        "type": "Microsoft.MachineLearningServices/workspaces",
        "location": found.region,
        "tags": {},
        "identity": {"type": "SystemAssigned", "principalId": found.id, "tenantId": ""},
        "sku": {"name": "Basic", "tier": "Basic"},
        "properties": {
            "workspaceId": found.id,
            "friendlyName": found.name,
            "provisioningState": "Succeeded",
            "discoveryUrl": discovery_url(found),
            "mlFlowTrackingUri": f"azureml://{found.region}.api.azureml.ms/mlflow/v1.0{found.path}",
            "storageAccount": f"{group}/Microsoft.Storage/storageAccounts/{found.account}",
            "keyVault": f"{group}/Microsoft.KeyVault/vaults/kv{found.name}",
            "applicationInsights": f"{group}/Microsoft.Insights/components/ai{found.name}",
        },
    }
