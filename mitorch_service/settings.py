"""The settings, read once from the environment and an ``.env`` file in the working folder.

pydantic-settings is not used: importing it costs every command 80 ms, for what the forty lines below do.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from mitorch_service.errors import SettingsError

MONGO_SCHEMES = ("mongodb", "mongodb+srv")


class ClusterConfig(BaseModel):
    """One entry of MITORCH_CLUSTERS: a place where trainings run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    kind: Literal["local"] = "local"
    slots: Annotated[int, Field(ge=0, le=1024, strict=True)] | None = (
        None  # None: one per GPU; without GPUs two (one on one core)
    )


class Settings(BaseModel):
    """Everything that the environment decides. Build it with `read_settings`."""

    model_config = ConfigDict(frozen=True)

    home: Path
    db_uri: str
    db_name: str
    storage_url: str
    clusters: tuple[ClusterConfig, ...]
    ignored: tuple[str, ...] = ()  # variables that are set, but mean something to later versions only

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
        clusters=_clusters(environ.get("MITORCH_CLUSTERS")),
        ignored=tuple(name for name in environ if name.startswith(("MITORCH_AML_", "MITORCH_AZURE_"))),
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
    if _scheme(url) in ("http", "https", "azure", "wasbs", "abfss"):
        raise SettingsError(
            "MITORCH_STORAGE_URL",
            "blob storage is not supported by this version",
            "Name a folder (one on a shared file system serves several machines).",
        )
    return str(Path(url.removeprefix("file://")).expanduser().absolute())


def _clusters(text: str | None) -> tuple[ClusterConfig, ...]:
    if not text:
        return (ClusterConfig(name="local"),)
    variable = "MITORCH_CLUSTERS"
    remedy = 'Write a JSON list such as [{"name": "local", "kind": "local", "slots": 2}], or a path to one.'
    try:
        inline = text.lstrip().startswith(("[", "{"))
        data = json.loads(text if inline else Path(text).expanduser().read_text("utf-8"))
        clusters = TypeAdapter(tuple[ClusterConfig, ...]).validate_python(data)
    except OSError as error:
        raise SettingsError(variable, f"cannot read {text}: {error.strerror}", remedy) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise SettingsError(variable, f"{where}: {first['msg']}", remedy) from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(variable, f"is not JSON ({error})", remedy) from error
    names = [cluster.name for cluster in clusters]
    if not clusters or len(set(names)) != len(names):
        raise SettingsError(variable, "needs one cluster or more, each with its own name", remedy)
    return clusters
