"""A cluster of kind `azureml`, and the identity with which it is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator

from mitorch_service.cluster_settings.cluster_fields import ClusterFields


class CreateProfile(BaseModel):
    """The parameters for creating a missing compute cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vm_size: Annotated[str, Field(min_length=1)]
    min_nodes: Annotated[int, Field(ge=0, strict=True)] = 0
    max_nodes: Annotated[int, Field(ge=1, strict=True)]
    idle_seconds: Annotated[int, Field(ge=0, strict=True)] = 1800  # before an idle node is released

    @model_validator(mode="after")
    def _min_below_max(self) -> CreateProfile:
        if self.min_nodes > self.max_nodes:
            raise ValueError(f"min_nodes ({self.min_nodes}) is more than max_nodes ({self.max_nodes})")
        return self


@dataclass(frozen=True)
class Credential:
    """A cloud identity: a service principal, or a user."""

    user: str
    password: SecretStr
    tenant: str | None = None  # None: not said
    principal: bool = False


class AzureMLCluster(ClusterFields):
    """A compute cluster of an Azure Machine Learning workspace."""

    kind: Literal["azureml"]
    sdk: Literal["v1", "v2"] = "v2"  # azureml-core, without Microsoft's support since 30 June 2026, or azure-ai-ml
    subscription_id: Annotated[str, Field(min_length=1)]
    resource_group: Annotated[str, Field(min_length=1)] | None = None  # None: that of the workspace of this name
    workspace: Annotated[str, Field(min_length=1)]
    compute: Annotated[str, Field(min_length=1)] = ""  # defaults to the name
    region: str | None = None
    tenant_id: str | None = None
    auth: SecretStr | None = None  # None: the ambient or managed identity; see `credential`
    create: CreateProfile | None = None  # None: the compute must exist
    environment: str | None = None  # a curated environment or a Docker image; None: our own
    experiment: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")] = "mitorch"
    # Seconds without a sign of life after which passes end a run as lost: one whose database is away waits an hour.
    max_silence: Annotated[float, Field(ge=600, le=1e9, strict=True)] = 3600.0

    @model_validator(mode="before")
    @classmethod
    def _compute_defaults_to_the_name(cls, data: object) -> object:
        return {"compute": data["name"], **data} if isinstance(data, dict) and "name" in data else data

    @field_validator("auth")
    @classmethod
    def _complete(cls, auth: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        credential = None if auth is None else _credential(auth.get_secret_value(), info.data.get("tenant_id"))
        if credential is not None and not (credential.user and credential.password and credential.tenant != ""):
            raise ValueError(
                "must be TENANT:SERVICE PRINCIPAL ID:PASSWORD, SERVICE PRINCIPAL ID:PASSWORD or USER:PASSWORD"
            )
        return auth

    def is_in(self, subscription: str, group: str, workspace: str) -> bool:
        """Whether it is in this workspace, as far as the settings tell. Azure compares names without regard to
        case."""
        group_there = group if self.resource_group is None else self.resource_group
        mine, other = (self.subscription_id, group_there, self.workspace), (subscription, group, workspace)
        return all(one.lower() == two.lower() for one, two in zip(mine, other, strict=True))

    def credential(self) -> Credential | None:
        """Returns `auth` parsed, or None for the ambient identity."""
        return None if self.auth is None else _credential(self.auth.get_secret_value(), self.tenant_id)


def _credential(auth: str, tenant_id: str | None) -> Credential:
    """Parses USER:PASSWORD (a USER has an @, or there is nothing that says otherwise), ID:PASSWORD of a service
    principal (the tenant is in the settings, or ID is a GUID) or TENANT:ID:PASSWORD. Any password may hold colons: ids
    of service principals are GUIDs, which tells TENANT:ID:PASSWORD from ID:PASS:WORD."""
    first, _, rest = auth.partition(":")
    second, colon, last = rest.partition(":")
    if "@" in first:
        return Credential(first, SecretStr(rest))
    of_principal = tenant_id is not None or _is_guid(first)
    if colon and (_is_guid(second) or first == tenant_id or not of_principal):
        return Credential(second, SecretStr(last), first, principal=True)
    return Credential(first, SecretStr(rest), tenant_id if of_principal else None, principal=of_principal)


def _is_guid(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text, re.IGNORECASE) is not None
