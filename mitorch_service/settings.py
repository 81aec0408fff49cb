"""The settings, read once from the environment and an ``.env`` file in the working folder.

pydantic-settings is not used, because its import would cost every command 80 ms.
"""

from __future__ import annotations

import getpass
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, unquote

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from mitorch_service.database_uri import checked_uri
from mitorch_service.errors import SettingsError
from mitorch_service.file_access import FileAccess
from mitorch_service.known_secrets import (
    know,
    know_only,
    secrets_of_credential,
    secrets_of_environment,
    secrets_of_url,
)
from mitorch_service.webhook_settings.entry_checks import SECRET_VARIABLE, VARIABLE
from mitorch_service.webhook_settings.webhook import Webhook
from mitorch_service.webhook_settings.webhook_list import read_webhooks, secret_variables
from mitorch_service.wording.input_problem import input_problem

MONGO_SCHEMES = ("mongodb", "mongodb+srv")
_USER_CHARACTERS = 200
# They hold credentials; `Settings.secret_variables` adds those that MITORCH_CLUSTERS and MITORCH_WEBHOOKS name.
_SECRETS = (
    *("MITORCH_DB_URI", "MITORCH_STORAGE_URL", "MITORCH_CLUSTERS", "MITORCH_AML_AUTH", "MITORCH_CVAT_AUTH"),
    *("MITORCH_VIEWER_TOKEN", VARIABLE, SECRET_VARIABLE, "MITORCH_OBDB_URI", "MONGODB_PASSWORD"),
)


class _Cluster(BaseModel):
    """The fields of every kind of cluster. Errors do not repeat the input, because it may contain a password."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    price: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] = 0.0  # per node and hour
    low_priority: bool = False  # its nodes may be preempted; else dedicated
    gpus: Annotated[int, Field(ge=0, le=64, strict=True)] | None = None  # per node; None: as the cluster reports
    memory: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)] | None = None  # GiB per node; None: enough
    data: tuple[str, ...] = ()  # near the cluster: storage accounts, hosts or data sets, with the wildcards * and ?


class LocalCluster(_Cluster):
    """Slots of this machine. A slot counts as a node, and a training takes one."""

    kind: Literal["local"] = "local"
    slots: Annotated[int, Field(ge=0, le=1024, strict=True)] | None = (
        None  # None: one per GPU; without GPUs two, or one if the machine has one core
    )
    # Seconds without a sign of life after which a run is ended as lost: it is stopped, or hangs as a whole.
    max_silence: Annotated[float, Field(ge=10, allow_inf_nan=False, strict=True)] = 900.0


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
    """A cloud identity: a service principal of a tenant, or (without a tenant) a user."""

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
    compute: Annotated[str, Field(min_length=1)] = ""  # defaults to the name
    region: str | None = None
    tenant_id: str | None = None
    auth: SecretStr | None = None  # None: the ambient or managed identity; see `credential`
    create: CreateProfile | None = None  # None: the compute must exist
    environment: str | None = None  # a curated environment or a Docker image; None: our own
    experiment: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")] = "mitorch"
    # Seconds without a sign of life after which passes end a run as lost: one whose database is away waits an hour.
    max_silence: Annotated[float, Field(ge=600, allow_inf_nan=False, strict=True)] = 3600.0

    @model_validator(mode="before")
    @classmethod
    def _compute_defaults_to_the_name(cls, data: object) -> object:
        return {"compute": data["name"], **data} if isinstance(data, dict) and "name" in data else data

    @field_validator("auth")
    @classmethod
    def _complete(cls, auth: SecretStr | None) -> SecretStr | None:
        credential = None if auth is None else _credential(auth.get_secret_value())
        if credential is not None and not (credential.user and credential.password and credential.tenant != ""):
            raise ValueError("must be TENANT:SERVICE PRINCIPAL ID:PASSWORD or USER:PASSWORD")
        return auth

    def credential(self) -> Credential | None:
        """Returns `auth` parsed, or None for the ambient identity."""
        return None if self.auth is None else _credential(self.auth.get_secret_value())


def _credential(auth: str) -> Credential:
    """Parses USER:PASSWORD, where USER contains an @ or PASSWORD no colon, or else TENANT:ID:PASSWORD."""
    first, _, rest = auth.partition(":")
    if "@" in first or ":" not in rest:
        return Credential(first, SecretStr(rest))
    user, _, password = rest.partition(":")
    return Credential(user, SecretStr(password), first)


ClusterConfig = LocalCluster | AzureMLCluster  # an entry of MITORCH_CLUSTERS, by its `kind`
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
    """All settings from the environment. Build it with `read_settings`."""

    model_config = ConfigDict(frozen=True)

    home: Path
    db_uri: Annotated[str, Field(repr=False)]  # may contain a password
    db_name: str
    storage_url: Annotated[str, Field(repr=False)]  # may contain a SAS token or an account key
    clusters: tuple[ClusterConfig, ...]
    user: str | None = None  # who submits
    viewer_token: Annotated[str | None, Field(repr=False)] = None  # of miviewer; None: one of its own in the home
    cvat_url: str | None = None  # of a CVAT server
    cvat_auth: Annotated[str | None, Field(repr=False)] = None  # USER:PASSWORD, or an access token
    obdb_uri: Annotated[str | None, Field(repr=False)] = None  # of obdb's annotations database; may contain a password
    database_given: bool = False  # False: no variable says where the database is
    clusters_given: bool = False  # False: no clusters are configured, so that this machine is the only one
    shared_group: int | None = None  # the id of the group that may read and write our files; None: nobody else may
    webhooks: tuple[InstanceOf[Webhook], ...] = ()  # where notifications are posted
    secret_variables: tuple[str, ...] = ()  # the variables that hold addresses and passwords, for no script to see

    @property
    def storage_folder(self) -> Path | None:
        """The folder of the artifacts, or None if they are in blob storage."""
        remote = _is_connection_string(self.storage_url) or _scheme(self.storage_url) in ("http", "https")
        return None if remote else Path(self.storage_url)

    @property
    def file_access(self) -> FileAccess:
        """Who may read and write what is created below the home, the database and the folder of the artifacts."""
        return FileAccess(self.shared_group)

    @property
    def sqlite_path(self) -> Path | None:
        """The database file, or None if the database is MongoDB."""
        if _scheme(self.db_uri) != "sqlite":
            return None
        return Path(unquote(self.db_uri.removeprefix("sqlite:///")))


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Reads the settings from `environ`; by default from the process's environment, which overrides ``.env``.

    Raises SettingsError with the variable, the problem and the remedy.
    """
    if environ is None:
        environ = {**_dotenv(Path(".env")), **os.environ}
    know_only(secrets_of_environment(environ))
    for name, value in environ.items():
        if name.startswith("MITORCH_"):
            _check_text(name, value)
    home = _path("MITORCH_HOME", environ.get("MITORCH_HOME") or "~/.mitorch")
    _check_text("HOME" if not environ.get("MITORCH_HOME") else "MITORCH_HOME", str(home))
    return Settings(
        home=home,
        db_uri=_db_uri(environ.get("MITORCH_DB_URI") or f"sqlite:///{quote(str(home / 'mitorch.db'))}"),
        db_name=_db_name(environ.get("MITORCH_DB_NAME") or "mitorch"),
        storage_url=_storage_url(environ.get("MITORCH_STORAGE_URL") or str(home / "artifacts")),
        clusters=_clusters(environ),
        user=(environ.get("MITORCH_USER") or _os_user() or "")[:_USER_CHARACTERS] or None,
        obdb_uri=_obdb_uri(environ),
        database_given=bool(environ.get("MITORCH_DB_URI") or environ.get("MITORCH_HOME")),
        clusters_given=any(environ.get(name) for name in ("MITORCH_CLUSTERS", *_REQUIRED_VARIABLES)),
        shared_group=_group_id(environ.get("MITORCH_SHARED_GROUP") or ""),
        viewer_token=environ.get("MITORCH_VIEWER_TOKEN") or None,
        cvat_url=_cvat_url(environ.get("MITORCH_CVAT_URL") or ""),
        cvat_auth=environ.get("MITORCH_CVAT_AUTH") or None,
        webhooks=read_webhooks(environ),
        secret_variables=(*_SECRETS, *_auth_variables(environ), *secret_variables(environ)),
    )


def _check_text(variable: str, value: str) -> None:
    """Raises SettingsError for bytes that are no text: Python passes them on, but no database and no file of ours can
    hold them."""
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise SettingsError(variable, "is not UTF-8 text", "Write it in UTF-8; rename a folder that has another name.")


def _os_user() -> str | None:
    try:
        return getpass.getuser().encode("utf-8", "replace").decode()  # a name that is no text has question marks
    except (KeyError, OSError, ImportError):  # a container's user that has no name
        return None


def _path(variable: str, text: str) -> Path:
    """Returns the absolute path. Raises SettingsError for ``~`` and the name of nobody, and for NUL."""
    if "\0" in text:
        raise SettingsError(variable, "the path contains the character NUL", "Remove it.")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:  # which says no more
        shown = text.partition("/")[0]
        raise SettingsError(variable, f"{shown} is no home folder of this machine", "Write the whole path.") from None


def _group_id(name: str) -> int | None:
    """The id of the group, given by its name or number."""
    if not name:
        return None
    import grp

    variable = "MITORCH_SHARED_GROUP"
    try:
        group = int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        remedy = "Name a group of this machine (getent group), or its number."
        raise SettingsError(variable, f"the group {name!r} does not exist", remedy) from None
    if os.geteuid() != 0 and group not in (os.getegid(), *os.getgroups()):
        remedy = "Have yourself added to it and sign in again, or name another group."
        raise SettingsError(variable, f"you are not a member of the group {name!r}", remedy)
    return group


def _dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        return {name: value for name, value in dotenv_values(path).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(str(path), f"cannot be read ({error})", "Repair the file, or remove it.") from error


def _scheme(uri: str) -> str:
    """Returns the part before ``://`` in lower case; urlsplit fails on passwords with brackets."""
    scheme, mark, _ = uri.partition("://")
    return scheme.lower() if mark else ""


def _db_uri(uri: str) -> str:
    scheme = _scheme(uri)
    if scheme not in ("sqlite", *MONGO_SCHEMES):
        raise SettingsError(
            "MITORCH_DB_URI",
            f"the scheme {scheme!r} is not known" if scheme else "it is not a URI",
            "Write mongodb://host:port, mongodb+srv://host or sqlite:///path/to/file.db.",
        )
    if scheme != "sqlite":
        return checked_uri(uri)
    file = unquote(uri[len("sqlite:///") :])
    if not file or not uri.lower().startswith("sqlite:///"):
        raise SettingsError("MITORCH_DB_URI", "it names no file", "Write sqlite:///path/to/file.db.")
    path = _path("MITORCH_DB_URI", file)  # absolute, as runs have other working folders
    return f"sqlite:///{quote(str(path))}"


def _cvat_url(url: str) -> str | None:
    """Checks the address of a CVAT server. Raises SettingsError."""
    if not url:
        return None
    know(secrets_of_url(url))
    if not re.fullmatch(r"https?://[^/@?#\s]+(/[^@?#\s]*)?", url):
        remedy = "Write https://HOST[:PORT]; the user and the password belong into MITORCH_CVAT_AUTH."
        raise SettingsError("MITORCH_CVAT_URL", "is not the address of a server", remedy)
    return url.rstrip("/")


def _obdb_uri(environ: Mapping[str, str]) -> str | None:
    """The address of obdb's annotations database: MITORCH_OBDB_URI, or what the variables of obdb's own containers say
    (weed_training 3d08cf3, code/weeds.py), there on this machine."""
    if uri := environ.get("MITORCH_OBDB_URI"):
        return obdb_uri(uri, "MITORCH_OBDB_URI")
    user, password = environ.get("MONGODB_USERNAME"), environ.get("MONGODB_PASSWORD")
    if not user or not password:
        return None
    port = environ.get("MONGODB_PORT") or environ.get("MONGODB_PORT_NUMBER") or "27017"
    return f"mongodb://{quote(user, safe='')}:{quote(password, safe='')}@127.0.0.1:{port}/?authSource=annotations"


def obdb_uri(uri: str, variable: str) -> str:
    """Checks the address of obdb's annotations database, which `variable` holds. Raises SettingsError."""
    know(secrets_of_url(uri))
    if _scheme(uri) not in MONGO_SCHEMES:
        raise SettingsError(
            variable,
            "is not the URI of a MongoDB",
            "Write mongodb://HOST:PORT/?authSource=annotations with user and password.",
        )
    return checked_uri(uri, variable)


def _db_name(name: str) -> str:
    bad = sorted(set(name) & set('/\\. "$*<>:|?\0'))
    if bad or len(name.encode()) > 63:
        raise SettingsError(
            "MITORCH_DB_NAME",
            f"{name!r} is not a valid name of a database",
            'Use at most 63 bytes, without any of / \\ . " $ * < > : | ? or spaces.',
        )
    return name


def _storage_url(url: str) -> str:
    """Returns the absolute path of a folder, or the address of a container unchanged."""
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
            raise SettingsError("MITORCH_STORAGE_URL", f"http:// would send secrets to {host} unencrypted", remedy)
        return url
    if scheme not in ("", "file"):
        raise SettingsError("MITORCH_STORAGE_URL", f"the scheme {scheme!r} is not known", remedy)
    return str(_path("MITORCH_STORAGE_URL", url.removeprefix("file://")))


def _is_connection_string(url: str) -> bool:
    """Whether it is an Azure connection string, ``DefaultEndpointsProtocol=…;AccountName=…``, in any order."""
    return re.match(r"\w+=[^;]*;.*", url) is not None and re.search(r"(Account\w+|BlobEndpoint)=", url) is not None


def _clusters(environ: Mapping[str, str]) -> tuple[ClusterConfig, ...]:
    text, variable = environ.get("MITORCH_CLUSTERS"), "MITORCH_CLUSTERS"
    if not text:
        return (_azureml_from_variables(environ) or LocalCluster(name="local"),)
    data = _cluster_list(text)
    clusters = tuple(_cluster(variable, f"[{number}].", entry, environ) for number, entry in enumerate(data))
    names = [cluster.name for cluster in clusters]
    if not clusters or len(set(names)) != len(names):
        raise SettingsError(variable, "needs one cluster or more, each with its own name", _LOCAL_REMEDY)
    return clusters


_LOCAL_REMEDY = 'Write a JSON list such as [{"name": "local", "kind": "local", "slots": 2}], or a path to one.'
_AZUREML_REMEDY = (
    'Write a JSON list such as [{"name": "gpu", "kind": "azureml", "subscription_id": "…", "resource_group": "…", '
    '"workspace": "…", "auth": {"env": "MY_AUTH"}, "price": 0.9, "gpus": 1}], or a path to one.'
)


def _auth_variables(environ: Mapping[str, str]) -> list[str]:
    """The variables that hold passwords of clusters."""
    text = environ.get("MITORCH_CLUSTERS")
    auths = [entry.get("auth") for entry in _cluster_list(text) if isinstance(entry, dict)] if text else []
    return [str(auth["env"]) for auth in auths if isinstance(auth, dict)]


def _cluster_list(text: str) -> list[object]:
    """Returns the entries in the setting itself, or in the file that it names.

    Messages do not repeat text that may contain a password.
    """
    variable = "MITORCH_CLUSTERS"
    try:
        inline = text.lstrip().startswith(("[", "{"))
        data = json.loads(text if inline else _path(variable, text).read_text("utf-8"))
    except OSError as error:
        path = text if set(text).isdisjoint('{}[]"') else "it as the path of a file"
        raise SettingsError(variable, f"cannot read {path}: {error.strerror}", _LOCAL_REMEDY) from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(variable, f"is not JSON ({error})", _LOCAL_REMEDY) from None
    if not isinstance(data, list):
        raise SettingsError(variable, "must be a list", _LOCAL_REMEDY)
    return data


def _cluster(variable: str, where: str, entry: object, environ: Mapping[str, str]) -> ClusterConfig:
    """Parses an entry. `where`: the prefix of field names in errors."""
    if not isinstance(entry, dict):
        raise SettingsError(variable, f"{where[:-1]}: must be an object {{…}}", _LOCAL_REMEDY)
    kind = entry.get("kind", "local")
    remedy = _AZUREML_REMEDY if kind == "azureml" else _LOCAL_REMEDY
    if not isinstance(kind, str) or kind not in _KINDS:
        raise SettingsError(variable, f"{where}kind: {kind!r} is not known; known: {', '.join(_KINDS)}", remedy)
    if isinstance(entry.get("auth"), dict):
        entry = {**entry, "auth": _auth_of(variable, where, entry["auth"], environ)}
    know(secrets_of_credential(str(entry.get("auth", ""))))
    try:
        return _KINDS[kind].model_validate(entry)
    except ValidationError as error:
        problem = _cluster_problem(where, kind, error.errors(include_url=False)[0])
        raise SettingsError(variable, problem, remedy) from None


def _cluster_problem(where: str, kind: str, detail: ErrorDetails) -> str:
    """Returns the field, its problem, and its value unless that may be a secret."""
    path = [str(step) for step in detail["loc"]]
    if detail["type"] == "extra_forbidden":
        model = CreateProfile if path[0] == "create" else _KINDS[kind]
        return f"{where}{'.'.join(path)}: unknown key; known: {', '.join(sorted(model.model_fields))}"
    secret = detail["type"] == "missing" or path[:1] == ["auth"] or not path
    value = "" if secret or isinstance(detail["input"], dict | list) else f" (it is {detail['input']!r})"
    return f"{where}{'.'.join(path)}: {input_problem(detail)}{value}"


def _auth_of(variable: str, where: str, auth: Mapping[str, object], environ: Mapping[str, str]) -> str:
    name = auth.get("env")
    if set(auth) != {"env"} or not isinstance(name, str):
        remedy = 'Write "auth": {"env": "NAME OF A VARIABLE"}.'
        raise SettingsError(variable, f"{where}auth: must name one variable", remedy)
    if not environ.get(name):
        remedy = f"Set {name}, or leave auth out for the ambient identity."
        raise SettingsError(variable, f"{where}auth: the variable {name} is not set", remedy)
    _check_text(name, environ[name])
    return environ[name]


def _azureml_from_variables(environ: Mapping[str, str]) -> ClusterConfig | None:
    given = {field: environ[name] for name, field in _AZUREML_VARIABLES.items() if environ.get(name)}
    missing = [name for name in _REQUIRED_VARIABLES if not environ.get(name)]
    if not given:
        return None
    if missing:
        present = ", ".join(name for name in _AZUREML_VARIABLES if environ.get(name))
        remedy = "Set all of them for one Azure ML cluster, or none; for several clusters use MITORCH_CLUSTERS."
        raise SettingsError(", ".join(missing), f"not set, while {present} is", remedy)
    return _cluster("MITORCH_AML_*", "", {"kind": "azureml", **given}, environ)
