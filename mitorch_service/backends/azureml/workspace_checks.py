"""Checks each setting of an Azure ML cluster by a real call: the order, the words and the remedies, for both SDKs."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import ClientAuthenticationError

from mitorch_service.backends.azureml.node_image import our_image
from mitorch_service.backends.azureml.quota import cores_of, find_usage, has_gpus
from mitorch_service.backends.optional import HealthCheck
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.errors import BackendError
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
_DEPRECATED = (
    "USER:PASSWORD is deprecated, as it allows no second factor, which Microsoft demands more and more: "
    "use a service principal or a managed identity"
)
_SECRET = "mitorch-doctor"  # noqa: S105 - a name; never deleted, because a vault refuses that of a deleted secret

Step = Callable[[], str]


@dataclass(frozen=True)
class ComputeFacts:
    """The properties of a compute cluster that are compared with the settings."""

    vm_size: str
    low_priority: bool
    most_nodes: int
    problem: str | None = None  # why it could not be created


class WorkspaceChecks(HealthCheck):
    """Checks the sign-in, the subscription and the workspace, then everything in the workspace. A subclass asks Azure
    by one SDK; its methods raise the SDK's errors, which `_translate` and `_status_of` understand."""

    _SDK: str  # its name, and for how long it is supported

    def __init__(self, cluster: AzureMLCluster) -> None:
        self._cluster = cluster
        self._compute: ComputeFacts | None = None
        self._location = ""

    def findings(self) -> Iterator[tuple[str, str | BackendError]]:
        yield "sdk", self._SDK
        credential = self._cluster.credential()
        if credential is not None and not credential.principal:
            yield "auth", _DEPRECATED
        prerequisites: list[tuple[str, Step]] = [
            ("sign-in", self._check_sign_in),
            ("subscription", self._check_subscription),
            ("workspace", self._check_workspace),
        ]
        for name, step in prerequisites:
            answer = self._ask(step)
            yield name, answer
            if isinstance(answer, BackendError):
                return
        for name, step in self._steps_in_workspace():
            yield name, self._ask(step)

    @abstractmethod
    def _sign_in(self) -> None:
        """Obtains a token."""

    @abstractmethod
    def _subscriptions(self) -> tuple[Mapping[str, str], str]:
        """Returns the names of the subscriptions that the identity sees, by id, and its tenant."""

    @abstractmethod
    def _open_workspace(self) -> str:
        """Opens the workspace and returns its region."""

    @abstractmethod
    def _workspaces(self) -> Iterable[str]:
        """Returns the names of the resource group's workspaces."""

    @abstractmethod
    def _get_compute(self) -> ComputeFacts:
        """Returns the compute; an error of status 404 if there is none."""

    @abstractmethod
    def _computes(self) -> Iterable[str]:
        """Returns the names of the workspace's computes."""

    @abstractmethod
    def _usages(self) -> Iterable[Mapping[str, Any]]:
        """Returns the cores in use and allowed in the workspace's region."""

    @abstractmethod
    def _write_and_read(self, name: str, value: str) -> str | None:
        """Writes a secret into the key vault and returns what is read back."""

    @abstractmethod
    def _get_environment(self, name: str, version: str | None) -> str:
        """Returns name and version of a registered environment; an error of status 404 if there is none."""

    @abstractmethod
    def _translate(self, error: Exception) -> BackendError:
        """Returns our error for one of the SDK's."""

    @abstractmethod
    def _status_of(self, error: Exception) -> int | None:
        """Returns the HTTP status of one of the SDK's errors."""

    def _steps_in_workspace(self) -> Iterator[tuple[str, Step]]:
        if self._cluster.region is not None:
            yield "region", self._check_region
        yield "compute", self._check_compute
        yield "gpus", self._check_gpus
        yield "quota", self._check_quota
        yield "key vault", self._check_vault
        yield "environment", self._check_environment

    def _ask(self, step: Step) -> str | BackendError:
        try:
            return step()
        except BackendError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the SDKs raise from a dozen families
            return self._translate(error)

    def _check_sign_in(self) -> str:
        try:
            self._sign_in()
        except Exception as error:  # noqa: BLE001 - the SDKs raise from a dozen families
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

    def _check_subscription(self) -> str:
        wanted = self._cluster.subscription_id
        found, tenant = self._subscriptions()
        names = {id.lower(): name for id, name in found.items()}
        if wanted.lower() in names:
            return f"{names[wanted.lower()]} ({wanted})" if names[wanted.lower()] != wanted else wanted
        seen = f"it sees {', '.join(sorted(names)[:5])}" if names else "it sees none"
        remedy = f"Correct subscription_id or the tenant, or give the identity a role there: {self._role()}"
        raise self._wrong(f"the identity sees no subscription {wanted} in the tenant {tenant}; {seen}", remedy)

    def _check_workspace(self) -> str:
        cluster = self._cluster
        try:
            self._location = self._open_workspace()
        except Exception as error:
            if self._status_of(error) == 403:
                remedy = f"Give the identity a role in it: {self._role()}"
                raise self._wrong(f"the identity has no role in the workspace {cluster.workspace}", remedy) from None
            if self._status_of(error) != 404 and "not found" not in str(error):
                raise
            known = self._names(self._workspaces)
            problem = f"there is no workspace {cluster.workspace!r} in the resource group {cluster.resource_group}"
            raise self._unknown(problem, cluster.workspace, known, "Correct workspace or resource_group.") from None
        return f"{cluster.workspace} in {self._location}"

    def _check_region(self) -> str:
        wanted, there = self._cluster.region or "", self._location
        if wanted.replace(" ", "").lower() != there.replace(" ", "").lower():
            problem = f"the workspace is in {there}, the settings say {wanted}"
            raise self._wrong(problem, "Correct region, or name the workspace of that region.")
        return there

    def _check_compute(self) -> str:
        cluster = self._cluster
        try:
            self._compute = self._get_compute()
        except Exception as error:
            if self._status_of(error) != 404:
                raise
            if cluster.create is not None:
                return f"{cluster.compute} does not exist yet and will be created ({cluster.create.vm_size})"
            known = self._names(self._computes)
            remedy = "Correct compute, create it in the studio, or allow its creation with create."
            raise self._unknown(f"there is no compute {cluster.compute!r}", cluster.compute, known, remedy) from None
        if self._compute.problem is not None:
            problem = f"{cluster.compute} could not be created: {self._compute.problem}"
            raise self._wrong(problem, "Delete it in the studio, and check the quota of its VM size.")
        low = self._compute.low_priority
        differs = "" if low == cluster.low_priority else f", though low_priority is {cluster.low_priority}".lower()
        return (
            f"{cluster.compute}, {self._compute.vm_size}, {'low priority' if low else 'dedicated'}{differs}, "
            f"at most {self._compute.most_nodes} nodes"
        )

    def _check_gpus(self) -> str:
        size, _ = self._size()
        gpus = self._cluster.gpus
        if size is None:
            return "not compared: there is no compute"
        if gpus and not has_gpus(size):
            remedy = "Set gpus to 0, or choose a VM size of the series NC, ND, NG or NV."
            raise self._wrong(f"the settings say gpus: {gpus}, but machines of {size} have none", remedy)
        if gpus is None:
            return f"not in the settings: set gpus to those of a {size}, so that a run that sees none is an error"
        if gpus == 0 and has_gpus(size):
            return f"0, though machines of {size} have some: they would stay idle"
        return f"{gpus} of a node" + ("; a run that sees fewer is an error" if gpus else "")

    def _check_quota(self) -> str:
        size, low_priority = self._size()
        if size is None:
            return "not compared: there is no compute"
        usage = find_usage(self._usages(), size, low_priority)
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
            return self._compute.vm_size, self._compute.low_priority
        profile = self._cluster.create
        return (None if profile is None else profile.vm_size), self._cluster.low_priority

    def _check_vault(self) -> str:
        value = "written by mitorch doctor"
        try:
            found = self._write_and_read(_SECRET, value)
        except Exception as error:
            if self._status_of(error) != 403:
                raise
            remedy = "Give it one that allows writing secrets (AzureML Data Scientist, or Key Vault Secrets Officer)."
            raise self._wrong("the identity has no role for the workspace's key vault", remedy) from None
        if found != value:
            raise self._wrong("a secret is not read back as written", "Check the key vault in the portal.")
        return "secrets can be written and read"

    def _check_environment(self) -> str:
        name = self._cluster.environment
        if name is None:
            ours, image = our_image(self._cluster.gpus)
            return f"ours ({ours}, on {image}), which the workspace builds for the first run"
        if "/" in name:
            return f"the image {name}, not checked from here"
        label, _, version = name.partition(":")
        try:
            return self._get_environment(label, version or None)
        except Exception as error:
            if self._status_of(error) != 404 and "not found" not in str(error):
                raise
            remedy = "Correct environment: NAME[:VERSION] as in the studio, or an image REGISTRY/NAME:TAG."
            raise self._wrong(f"the workspace has no environment {name!r}", remedy) from None

    def _role(self) -> str:
        """Returns the command that assigns a role."""
        cluster, credential = self._cluster, self._cluster.credential()
        who = "OBJECT_ID" if credential is None else credential.user
        group = f"/resourceGroups/{cluster.resource_group}" if cluster.resource_group else ""
        scope = f"/subscriptions/{cluster.subscription_id}{group}"
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
