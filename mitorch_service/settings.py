"""The settings, read once from the environment and an ``.env`` file in the working folder.

pydantic-settings is not used: importing it costs every command 80 ms, for what the forty lines below do.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from mitorch_service.errors import SettingsError

MONGO_SCHEMES = ("mongodb", "mongodb+srv")


class _Cluster(BaseModel):
    """What every kind of cluster has. An input that is refused is not repeated in the error: it may hold a password."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    price: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] = 0.0  # of one node for an hour
    low_priority: bool = False  # its nodes may be taken away; else dedicated
    gpus: Annotated[int, Field(ge=0, le=64, strict=True)] | None = None  # of a node; None: as the cluster says
    memory: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)] | None = None  # GiB of a node; None: enough
    data: tuple[str, ...] = ()  # what lies near: storage accounts or hosts, and data sets; * and ? as in file names


class LocalCluster(_Cluster):
    """Slots of this machine. A slot counts as a node, and a training takes one."""

    kind: Literal["local"] = "local"
    slots: Annotated[int, Field(ge=0, le=1024, strict=True)] | None = (
        None  # None: one per GPU; without GPUs two (one on one core)
    )


class CreateProfile(BaseModel):
    """How a compute cluster is created that is not there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vm_size: Annotated[str, Field(min_length=1)]
    min_nodes: Annotated[int, Field(ge=0, strict=True)] = 0
    max_nodes: Annotated[int, Field(ge=1, strict=True)]
    idle_seconds: Annotated[int, Field(ge=0, strict=True)] = 1800  # before an idle node is given back

    @model_validator(mode="after")
    def _min_below_max(self) -> CreateProfile:
        if self.min_nodes > self.max_nodes:
            raise ValueError(f"min_nodes ({self.min_nodes}) is more than max_nodes ({self.max_nodes})")
        return self


@dataclass(frozen=True)
class Credential:
    """Who asks a cloud: a service principal of a tenant, or (without a tenant) a user."""

    user: str
    password: SecretStr
    tenant: str | None = None


class AzureMLCluster(_Cluster):
    """A compute cluster of an Azure Machine Learning workspace."""

    kind: Literal["azureml"]
    sdk: Literal["v1", "v2"] = "v1"  # azureml-core or azure-ai-ml
    subscription_id: Annotated[str, Field(min_length=1)]
    resource_group: Annotated[str, Field(min_length=1)]
    workspace: Annotated[str, Field(min_length=1)]
    compute: Annotated[str, Field(min_length=1)] = ""  # "" stands for the name, which it becomes
    region: str | None = None
    tenant_id: str | None = None
    auth: SecretStr | None = None  # None: the ambient or managed identity; see `credential`
    create: CreateProfile | None = None  # None: the compute must be there
    environment: str | None = None  # a curated environment or a Docker image; None: our own
    experiment: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")] = "mitorch"

    @model_validator(mode="before")
    @classmethod
    def _compute_is_named_like_the_cluster(cls, data: Any) -> Any:
        return {"compute": data["name"], **data} if isinstance(data, dict) and "name" in data else data

    @field_validator("auth")
    @classmethod
    def _complete(cls, auth: SecretStr | None) -> SecretStr | None:
        credential = None if auth is None else _credential(auth.get_secret_value())
        if credential is not None and not (credential.user and credential.password and credential.tenant != ""):
            raise ValueError("must be TENANT:SERVICE PRINCIPAL ID:PASSWORD or USER:PASSWORD")
        return auth

    def credential(self) -> Credential | None:
        """`auth` taken apart, or None for the ambient identity."""
        return None if self.auth is None else _credential(self.auth.get_secret_value())


def _credential(auth: str) -> Credential:
    """A user's name holds an @, or else the password no colon; a service principal's password may hold any."""
    first, _, rest = auth.partition(":")
    if "@" in first or ":" not in rest:
        return Credential(first, SecretStr(rest))
    user, _, password = rest.partition(":")
    return Credential(user, SecretStr(password), first)


ClusterConfig = LocalCluster | AzureMLCluster  # one entry of MITORCH_CLUSTERS: told apart by its `kind`
_KINDS: dict[str, type[LocalCluster] | type[AzureMLCluster]] = {"local": LocalCluster, "azureml": AzureMLCluster}
# One Azure ML cluster without MITORCH_CLUSTERS: variable -> field; the first four belong together.
_AZUREML_VARIABLES = {
    "MITORCH_AZURE_SUBSCRIPTION_ID": "subscription_id",
    "MITORCH_AML_RESOURCE_GROUP": "resource_group",
    "MITORCH_AML_WORKSPACE": "workspace",
    "MITORCH_AML_COMPUTE": "name",
    "MITORCH_AML_TENANT_ID": "tenant_id",
    "MITORCH_AML_AUTH": "auth",
}
_REQUIRED_VARIABLES = tuple(_AZUREML_VARIABLES)[:4]


class Settings(BaseModel):
    """Everything that the environment decides. Build it with `read_settings`."""

    model_config = ConfigDict(frozen=True)

    home: Path
    db_uri: str
    db_name: str
    storage_url: Annotated[str, Field(repr=False)]  # it may hold a SAS token or an account's key
    clusters: tuple[ClusterConfig, ...]
    clusters_given: bool = False  # False: nobody has said what clusters there are, so this machine is one

    @property
    def storage_folder(self) -> Path | None:
        """The folder of the artifacts, or None when they lie in blob storage."""
        remote = _is_connection_string(self.storage_url) or _scheme(self.storage_url) in ("http", "https")
        return None if remote else Path(self.storage_url)

    @property
    def sqlite_path(self) -> Path | None:
        """The database file, or None when the database is MongoDB."""
        if _scheme(self.db_uri) != "sqlite":
            return None
        return Path(unquote(self.db_uri.removeprefix("sqlite:///")))


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from `environ` (default: the process's, over ``.env``).

    Raises SettingsError naming the variable, what is wrong with it and the remedy.
    """
    if environ is None:
        environ = {**_dotenv(Path(".env")), **os.environ}
    home = Path(environ.get("MITORCH_HOME") or "~/.mitorch").expanduser().absolute()
    return Settings(
        home=home,
        db_uri=_db_uri(environ.get("MITORCH_DB_URI") or f"sqlite:///{quote(str(home / 'mitorch.db'))}"),
        db_name=_db_name(environ.get("MITORCH_DB_NAME") or "mitorch"),
        storage_url=_storage_url(environ.get("MITORCH_STORAGE_URL") or str(home / "artifacts")),
        clusters=_clusters(environ),
        clusters_given=any(environ.get(name) for name in ("MITORCH_CLUSTERS", *_REQUIRED_VARIABLES)),
    )


def _dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        return {name: value for name, value in dotenv_values(path).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(str(path), f"cannot be read ({error})", "Repair the file, or remove it.") from error


def _scheme(uri: str) -> str:
    """What stands before ``://``; urlsplit would refuse passwords with brackets."""
    scheme, mark, _ = uri.partition("://")
    return scheme.lower() if mark else ""


def _db_uri(uri: str) -> str:
    scheme = _scheme(uri)
    if scheme not in ("sqlite", *MONGO_SCHEMES):
        raise SettingsError(
            "MITORCH_DB_URI",
            f"the scheme {scheme!r} is not known" if scheme else "it is no URI",
            "Write mongodb://host:port, mongodb+srv://host or sqlite:///path/to/file.db.",
        )
    if scheme != "sqlite":
        return uri
    file = unquote(uri[len("sqlite:///") :])
    if not file or not uri.lower().startswith("sqlite:///"):
        raise SettingsError("MITORCH_DB_URI", "it names no file", "Write sqlite:///path/to/file.db.")
    return f"sqlite:///{quote(str(Path(file).expanduser().absolute()))}"  # runs work in folders of their own


def _db_name(name: str) -> str:
    bad = sorted(set(name) & set('/\\. "$*<>:|?\0'))
    if bad or len(name.encode()) > 63:
        raise SettingsError(
            "MITORCH_DB_NAME",
            f"{name!r} cannot name a database",
            'Use at most 63 bytes, without any of / \\ . " $ * < > : | ? or spaces.',
        )
    return name


def _storage_url(url: str) -> str:
    """A folder's whole path, or the address of a container as it is given."""
    remedy = (
        "Name a folder, https://ACCOUNT.blob.core.windows.net/CONTAINER[/FOLDER][?SAS], or the account's connection "
        "string with ;Container=NAME at its end."
    )
    scheme = _scheme(url.partition("=")[0])
    if _is_connection_string(url):
        if not re.search(r";\s*Container=[^;]", url, re.IGNORECASE):
            raise SettingsError("MITORCH_STORAGE_URL", "the connection string names no container", remedy)
        return url
    if scheme in ("http", "https"):
        host, _, path = re.split(r"[?#]", url, maxsplit=1)[0].partition("://")[2].partition("/")
        if not host or not path.strip("/"):
            raise SettingsError("MITORCH_STORAGE_URL", "the URL names no container", remedy)
        if scheme == "http" and not re.fullmatch(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?", host):
            raise SettingsError("MITORCH_STORAGE_URL", f"http:// would send {host} secrets in the open", remedy)
        return url
    if scheme not in ("", "file"):
        raise SettingsError("MITORCH_STORAGE_URL", f"the scheme {scheme!r} is not known", remedy)
    return str(Path(url.removeprefix("file://")).expanduser().absolute())


def _is_connection_string(url: str) -> bool:
    """Whether it is Azure's ``DefaultEndpointsProtocol=…;AccountName=…``, in whatever order."""
    return re.match(r"\w+=[^;]*;.*", url) is not None and re.search(r"(Account\w+|BlobEndpoint)=", url) is not None


def _clusters(environ: Mapping[str, str]) -> tuple[ClusterConfig, ...]:
    text, variable = environ.get("MITORCH_CLUSTERS"), "MITORCH_CLUSTERS"
    if not text:
        return (_azureml_from_variables(environ) or LocalCluster(name="local"),)
    data = _cluster_list(text)
    clusters = tuple(_cluster(variable, f"{number}.", entry, environ) for number, entry in enumerate(data))
    names = [cluster.name for cluster in clusters]
    if not clusters or len(set(names)) != len(names):
        raise SettingsError(variable, "needs one cluster or more, each with its own name", _LOCAL_REMEDY)
    return clusters


_LOCAL_REMEDY = 'Write a JSON list such as [{"name": "local", "kind": "local", "slots": 2}], or a path to one.'
_AZUREML_REMEDY = (
    'Write a JSON list such as [{"name": "gpu", "kind": "azureml", "subscription_id": "…", "resource_group": "…", '
    '"workspace": "…", "auth": {"env": "MY_AUTH"}, "price": 0.9, "gpus": 1}], or a path to one.'
)


def _cluster_list(text: str) -> list[Any]:
    """The entries in the setting itself, or in the file that it names. No message repeats what may hold a password."""
    variable = "MITORCH_CLUSTERS"
    try:
        inline = text.lstrip().startswith(("[", "{"))
        data = json.loads(text if inline else Path(text).expanduser().read_text("utf-8"))
    except OSError as error:
        path = text if set(text).isdisjoint('{}[]"') else "it as the path of a file"
        raise SettingsError(variable, f"cannot read {path}: {error.strerror}", _LOCAL_REMEDY) from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(variable, f"is not JSON ({error})", _LOCAL_REMEDY) from None
    if not isinstance(data, list):
        raise SettingsError(variable, "the whole: must be a list", _LOCAL_REMEDY)
    return data


def _cluster(variable: str, where: str, entry: Any, environ: Mapping[str, str]) -> ClusterConfig:
    """One entry. `where` stands before the field's name in an error."""
    if not isinstance(entry, dict):
        raise SettingsError(variable, f"{where[:-1]}: must be an object {{…}}", _LOCAL_REMEDY)
    kind = entry.get("kind", "local")
    remedy = _AZUREML_REMEDY if kind == "azureml" else _LOCAL_REMEDY
    if not isinstance(kind, str) or kind not in _KINDS:
        raise SettingsError(variable, f"{where}kind: {kind!r} is not known; known: {', '.join(_KINDS)}", remedy)
    if isinstance(entry.get("auth"), dict):
        entry = {**entry, "auth": _auth_of(variable, where, entry["auth"], environ)}
    try:
        return _KINDS[kind].model_validate(entry)
    except ValidationError as error:
        problem = _cluster_problem(where, entry, error.errors(include_url=False)[0])
        raise SettingsError(variable, problem, remedy) from None


def _cluster_problem(where: str, entry: Mapping[str, Any], detail: Any) -> str:
    """Field, what is wrong with it, and its value where that is no secret."""
    path = [str(step) for step in detail["loc"]]
    if detail["type"] == "extra_forbidden":
        model = CreateProfile if path[0] == "create" else _KINDS[entry.get("kind", "local")]
        return f"{where}{'.'.join(path)}: unknown key; known: {', '.join(sorted(model.model_fields))}"
    secret = detail["type"] == "missing" or path[:1] == ["auth"] or not path
    value = "" if secret or isinstance(detail["input"], dict | list) else f" (it is {detail['input']!r})"
    return f"{where}{'.'.join(path)}: {detail['msg'].removeprefix('Value error, ')}{value}"


def _auth_of(variable: str, where: str, auth: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    name = auth.get("env")
    if set(auth) != {"env"} or not isinstance(name, str):
        remedy = 'Write "auth": {"env": "NAME OF A VARIABLE"}.'
        raise SettingsError(variable, f"{where}auth: must name one variable", remedy)
    if not environ.get(name):
        remedy = f"Set {name}, or leave auth out for the ambient identity."
        raise SettingsError(variable, f"{where}auth: the variable {name} is not set", remedy)
    return environ[name]


def _azureml_from_variables(environ: Mapping[str, str]) -> ClusterConfig | None:
    given = {field: environ[name] for name, field in _AZUREML_VARIABLES.items() if environ.get(name)}
    missing = [name for name in _REQUIRED_VARIABLES if not environ.get(name)]
    if not given:
        return None
    if missing:
        present = ", ".join(name for name in _AZUREML_VARIABLES if environ.get(name))
        remedy = "Set all of them for one Azure ML cluster, or none; several go into MITORCH_CLUSTERS."
        raise SettingsError(", ".join(missing), f"not set, while {present} is", remedy)
    return _cluster("MITORCH_AML_*", "", {"kind": "azureml", **given}, environ)
