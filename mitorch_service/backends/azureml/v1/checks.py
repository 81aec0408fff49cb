"""Checks each setting of an Azure ML cluster by a real call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from azure.core.exceptions import ClientAuthenticationError

from mitorch_service.backends.azureml.quota import cores_of, find_usage
from mitorch_service.backends.azureml.v1.connection import sign_in
from mitorch_service.backends.azureml.v1.sdk import AmlCompute, Environment, Workspace
from mitorch_service.backends.azureml.v1.sdk_errors import status_of, translate
from mitorch_service.backends.optional import HealthCheck
from mitorch_service.errors import BackendError
from mitorch_service.settings import AzureMLCluster
from mitorch_service.wording.suggestion import did_you_mean

_TENANT = "The tenant does not exist: correct it in `auth` or tenant_id (az account show --query tenantId)."
_NO_IDENTITY = "Run az login, give this machine a managed identity, or set `auth`."
_SIGN_IN_REMEDIES = {  # by the service's error number, AADSTS…
    "90002": _TENANT,
    "900023": _TENANT,
    "700016": "This tenant has no such service principal: correct its id, or the tenant, in `auth`.",
    "7000215": "The password is wrong: `auth` needs the secret's value, not its id.",
    "7000222": "The password has expired: make a new one (az ad app credential reset --id ID) and set `auth`.",
    "50034": "This tenant has no such user: correct the name, or the tenant, in `auth`.",
    "50126": "User or password is wrong: correct `auth`.",
    "50076": "Users with a second factor cannot sign in by password: set `auth` to a service principal.",
}
_SECRET = "mitorch-doctor"  # never deleted, because a vault refuses the name of a recently deleted secret

Step = Callable[[], str]


class AzureMLHealthCheck(HealthCheck):
    """Checks the sign-in, the subscription and the workspace, then everything in the workspace."""

    def __init__(self, cluster: AzureMLCluster) -> None:
        self._cluster = cluster
        self._auth: Any = None
        self._workspace: Any = None
        self._compute: Any = None

    def findings(self) -> Iterator[tuple[str, str | BackendError]]:
        prerequisites: list[tuple[str, Step]] = [
            ("sign-in", self._sign_in),
            ("subscription", self._subscription),
            ("workspace", self._open_workspace),
        ]
        for name, step in prerequisites:
            answer = self._ask(step)
            yield name, answer
            if isinstance(answer, BackendError):
                return
        for name, step in self._workspace_checks():
            yield name, self._ask(step)

    def _workspace_checks(self) -> Iterator[tuple[str, Step]]:
        if self._cluster.region is not None:
            yield "region", self._region
        yield "compute", self._find_compute
        yield "quota", self._quota
        yield "key vault", self._vault
        yield "environment", self._environment

    def _ask(self, step: Step) -> str | BackendError:
        try:
            return step()
        except BackendError as error:
            return error
        except Exception as error:  # noqa: BLE001 - as `sdk_errors` does
            return translate(self._cluster.name, error)

    def _sign_in(self) -> str:
        try:
            self._auth = sign_in(self._cluster)
            self._auth.get_authentication_header()
        except Exception as error:  # noqa: BLE001 - the SDK raises from a dozen families
            raise self._refusal(error) from None
        credential = self._cluster.credential()
        if credential is None:
            return "as the identity of this machine"
        tenant = credential.tenant or self._cluster.tenant_id
        return f"as {credential.user}" + (f" of the tenant {tenant}" if tenant else "")

    def _refusal(self, error: Exception) -> Exception:
        """Returns an error that explains the failed sign-in if the service's answer is known, else the error itself."""
        code = re.search(r"AADSTS(\d+)", str(error))
        if code is not None and code[1] in _SIGN_IN_REMEDIES:
            return self._wrong(f"Azure refuses it ({code[0]})", _SIGN_IN_REMEDIES[code[1]])
        if "authority configuration" in str(error):  # msal's message for an unknown tenant
            return self._wrong("Azure refuses it", _TENANT)
        if self._cluster.auth is None and isinstance(error, ClientAuthenticationError):
            return self._wrong("`auth` is not set, and this machine has no identity that Azure accepts", _NO_IDENTITY)
        return error

    def _subscription(self) -> str:
        wanted = self._cluster.subscription_id
        subscriptions, tenant = self._auth._get_all_subscription_ids()
        names = {found.subscription_id.lower(): found.subscription_name for found in subscriptions}
        if wanted.lower() in names:
            return f"{names[wanted.lower()]} ({wanted})" if names[wanted.lower()] != wanted else wanted
        seen = f"it sees {', '.join(sorted(names)[:5])}" if names else "it sees none"
        remedy = f"Correct subscription_id or the tenant, or give the identity a role there: {self._role()}"
        raise self._wrong(f"the identity sees no subscription {wanted} in the tenant {tenant}; {seen}", remedy)

    def _open_workspace(self) -> str:
        cluster = self._cluster
        try:
            self._workspace = Workspace(
                cluster.subscription_id, cluster.resource_group, cluster.workspace, auth=self._auth
            )
        except Exception as error:
            if status_of(error) == 403:
                remedy = f"Give the identity a role in it: {self._role()}"
                raise self._wrong(f"the identity has no role in the workspace {cluster.workspace}", remedy) from None
            if status_of(error) != 404 and "not found" not in str(error):
                raise
            known = self._names(lambda: Workspace.list(cluster.subscription_id, self._auth, cluster.resource_group))
            problem = f"there is no workspace {cluster.workspace!r} in the resource group {cluster.resource_group}"
            raise self._unknown(problem, cluster.workspace, known, "Correct workspace or resource_group.") from None
        return f"{cluster.workspace} in {self._workspace.location}"

    def _region(self) -> str:
        wanted, there = self._cluster.region or "", self._workspace.location
        if wanted.replace(" ", "").lower() != there.replace(" ", "").lower():
            problem = f"the workspace is in {there}, the settings say {wanted}"
            raise self._wrong(problem, "Correct region, or name the workspace of that region.")
        return str(there)

    def _find_compute(self) -> str:
        cluster = self._cluster
        try:
            self._compute = AmlCompute(self._workspace, cluster.compute)
        except Exception as error:
            if status_of(error) != 404:
                raise
            if cluster.create is not None:
                return f"{cluster.compute} does not exist yet and will be created ({cluster.create.vm_size})"
            known = self._names(lambda: self._workspace.compute_targets)
            remedy = "Correct compute, create it in the studio, or allow its creation with create."
            raise self._unknown(f"there is no compute {cluster.compute!r}", cluster.compute, known, remedy) from None
        if self._compute.provisioning_state == "Failed":
            problem = f"{cluster.compute} could not be created: {self._compute.provisioning_errors}"
            raise self._wrong(problem, "Delete it in the studio, and check the quota of its VM size.")
        low = self._compute.vm_priority.lower() == "lowpriority"
        differs = "" if low == cluster.low_priority else f", though low_priority is {cluster.low_priority}".lower()
        most = self._compute.scale_settings.maximum_node_count
        return (
            f"{cluster.compute}, {self._compute.vm_size}, {'low priority' if low else 'dedicated'}{differs}, "
            f"at most {most} nodes"
        )

    def _quota(self) -> str:
        size, low_priority = self._size()
        if size is None:
            return "not compared: there is no compute"
        usage = find_usage(AmlCompute.list_usages(self._workspace), size, low_priority)
        if usage is None:
            return f"not compared: the service reports none for {size}"
        used, limit, cores = usage["currentValue"], usage["limit"], cores_of(size)
        text = f"{usage['name']['value']}: {used} of {limit} cores used, a node of {size} has {cores or 'some'}"
        if limit < max(1, cores):
            remedy = "Request more in the studio (Quota) or the portal, or choose another VM size or region."
            raise self._wrong(f"no node can start ({text})", remedy)
        return text

    def _size(self) -> tuple[str | None, bool]:
        """Returns the VM size of the compute, or of the one to be created, and whether it is low-priority."""
        if self._compute is not None:
            return self._compute.vm_size, self._compute.vm_priority.lower() == "lowpriority"
        profile = self._cluster.create
        return (None if profile is None else profile.vm_size), self._cluster.low_priority

    def _vault(self) -> str:
        vault = self._workspace.get_default_keyvault()
        value = "written by mitorch doctor"
        try:
            vault.set_secret(_SECRET, value)
            found = vault.get_secrets([_SECRET]).get(_SECRET)
        except Exception as error:
            if status_of(error) != 403:
                raise
            remedy = "Give it one that allows writing secrets (AzureML Data Scientist, or Key Vault Secrets Officer)."
            raise self._wrong("the identity has no role for the workspace's key vault", remedy) from None
        if found != value:
            raise self._wrong("a secret is not read back as written", "Check the key vault in the portal.")
        return "secrets can be written and read"

    def _environment(self) -> str:
        name = self._cluster.environment
        if name is None:
            return "ours, which the workspace builds for the first run"
        if "/" in name:
            return f"the image {name}, not checked from here"
        label, _, version = name.partition(":")
        try:
            found = Environment.get(self._workspace, label, version or None)
        except Exception as error:
            if status_of(error) != 404 and "not found" not in str(error):
                raise
            remedy = "Correct environment: NAME[:VERSION] as in the studio, or an image REGISTRY/NAME:TAG."
            raise self._wrong(f"the workspace has no environment {name!r}", remedy) from None
        return f"{found.name}:{found.version}"

    def _role(self) -> str:
        """Returns the command that assigns a role."""
        cluster, credential = self._cluster, self._cluster.credential()
        who = "OBJECT_ID" if credential is None else credential.user
        scope = f"/subscriptions/{cluster.subscription_id}/resourceGroups/{cluster.resource_group}"
        return f"az role assignment create --role 'AzureML Data Scientist' --assignee {who} --scope {scope}"

    def _names(self, listing: Callable[[], Iterable[str]]) -> list[str]:
        """Lists names for a hint; empty if that fails."""
        try:
            return sorted(listing())
        except Exception:  # noqa: BLE001 - the error to report is known already
            return []

    def _unknown(self, problem: str, name: str, known: list[str], remedy: str) -> BackendError:
        hint = did_you_mean(name, known)
        there = f"; {hint}there are: {', '.join(known)}" if known else ""
        return self._wrong(f"{problem}{there}", remedy)

    def _wrong(self, problem: str, remedy: str) -> BackendError:
        return BackendError(self._cluster.name, problem, remedy)
