"""The settings, read once from the environment and an ``.env`` file in the working folder.

pydantic-settings is not used, because its import would cost every command 80 ms.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, Field, InstanceOf

from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.cluster_settings.cluster_kinds import ClusterConfig
from mitorch_service.cluster_settings.cluster_list import REQUIRED_VARIABLES, auth_variables, read_clusters
from mitorch_service.database_uri import checked_uri
from mitorch_service.errors import SettingsError
from mitorch_service.file_access import FileAccess
from mitorch_service.known_secrets import know, know_only, secrets_of_environment, secrets_of_url
from mitorch_service.placement_settings.policy import FIRST_COME, Policy, read_policy
from mitorch_service.placement_settings.policy import VARIABLE as PLACEMENT_VARIABLE
from mitorch_service.setting_text import absolute_path, check_text
from mitorch_service.webhook_settings.entry_checks import SECRET_VARIABLE, VARIABLE
from mitorch_service.webhook_settings.webhook import Webhook
from mitorch_service.webhook_settings.webhook_list import read_webhooks, secret_variables

MONGO_SCHEMES = ("mongodb", "mongodb+srv")
_USER_CHARACTERS = 200
# They hold credentials; `Settings.secret_variables` adds those that MITORCH_CLUSTERS and MITORCH_WEBHOOKS name.
_SECRETS = (
    *("MITORCH_DB_URI", "MITORCH_STORAGE_URL", "MITORCH_CLUSTERS", "MITORCH_AML_AUTH", "MITORCH_CVAT_AUTH"),
    *("MITORCH_VIEWER_TOKEN", VARIABLE, SECRET_VARIABLE, "MITORCH_OBDB_URI", "MONGODB_PASSWORD"),
)


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
    storage_given: bool = False  # False: no variable says where the artifacts are
    database_given: bool = False  # False: no variable says where the database is
    clusters_given: bool = False  # False: no clusters are configured, so that this machine is the only one
    shared_group: int | None = None  # the id of the group that may read and write our files; None: nobody else may
    placement: Policy = FIRST_COME  # the order in which trainings get nodes
    webhooks: tuple[InstanceOf[Webhook], ...] = ()  # where notifications are posted
    secret_variables: tuple[str, ...] = ()  # the variables that hold addresses and passwords, for no script to see

    @property
    def storage_cluster(self) -> AzureMLCluster | None:
        """The cluster whose workspace's default datastore holds the artifacts, as no variable says where they are; None
        if one does, or if nothing runs in Azure ML."""
        if self.storage_given:
            return None
        return next((cluster for cluster in self.clusters if isinstance(cluster, AzureMLCluster)), None)

    @property
    def storage_place(self) -> str:
        """The artifact store in words, with no question to Azure; may contain a SAS token or an account key."""
        cluster = self.storage_cluster
        return self.storage_url if cluster is None else f"in the default datastore of the workspace {cluster.workspace}"

    @property
    def storage_folder(self) -> Path | None:
        """The folder of the artifacts, or None if they are in blob storage."""
        if self.storage_cluster is not None:
            return None
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


def read_environment() -> dict[str, str]:
    """Returns the process's environment, which overrides ``.env`` in the working folder. Raises SettingsError."""
    return {**_dotenv(Path(".env")), **os.environ}


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Reads the settings from `environ`; by default from the process's environment, which overrides ``.env``.

    Raises SettingsError with the variable, the problem and the remedy.
    """
    if environ is None:
        environ = read_environment()
    know_only(secrets_of_environment(environ))
    for name, value in environ.items():
        if name.startswith("MITORCH_"):
            check_text(name, value)
    home = absolute_path("MITORCH_HOME", environ.get("MITORCH_HOME") or "~/.mitorch")
    check_text("HOME" if not environ.get("MITORCH_HOME") else "MITORCH_HOME", str(home))
    return Settings(
        home=home,
        db_uri=_db_uri(environ.get("MITORCH_DB_URI") or f"sqlite:///{quote(str(home / 'mitorch.db'))}"),
        db_name=_db_name(environ.get("MITORCH_DB_NAME") or "mitorch"),
        storage_url=_storage_url(environ.get("MITORCH_STORAGE_URL") or str(home / "artifacts")),
        clusters=read_clusters(environ),
        user=(environ.get("MITORCH_USER") or _os_user() or "")[:_USER_CHARACTERS] or None,
        obdb_uri=_obdb_uri(environ),
        storage_given=bool(environ.get("MITORCH_STORAGE_URL")),
        database_given=bool(environ.get("MITORCH_DB_URI") or environ.get("MITORCH_HOME")),
        clusters_given=any(environ.get(name) for name in ("MITORCH_CLUSTERS", *REQUIRED_VARIABLES)),
        shared_group=_group_id(environ.get("MITORCH_SHARED_GROUP") or ""),
        viewer_token=environ.get("MITORCH_VIEWER_TOKEN") or None,
        cvat_url=_cvat_url(environ.get("MITORCH_CVAT_URL") or ""),
        cvat_auth=environ.get("MITORCH_CVAT_AUTH") or None,
        placement=read_policy(environ.get(PLACEMENT_VARIABLE) or ""),
        webhooks=read_webhooks(environ),
        secret_variables=(*_SECRETS, *auth_variables(environ), *secret_variables(environ)),
    )


def _os_user() -> str | None:
    try:
        return getpass.getuser().encode("utf-8", "replace").decode()  # a name that is no text has question marks
    except (KeyError, OSError, ImportError):  # a container's user that has no name
        return None


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
    path = absolute_path("MITORCH_DB_URI", file)  # absolute, as runs have other working folders
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
    return str(absolute_path("MITORCH_STORAGE_URL", url.removeprefix("file://")))


def _is_connection_string(url: str) -> bool:
    """Whether it is an Azure connection string, ``DefaultEndpointsProtocol=…;AccountName=…``, in any order."""
    return re.match(r"\w+=[^;]*;.*", url) is not None and re.search(r"(Account\w+|BlobEndpoint)=", url) is not None
