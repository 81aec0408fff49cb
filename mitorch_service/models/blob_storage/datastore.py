"""Datastores: blob containers registered by name in a workspace, and paths in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

_SCHEME = "azureml://"
_LONG = re.compile(
    r"(?:subscriptions/(?P<subscription>[^/]+)/resourcegroups/(?P<group>[^/]+)/"
    r"(?:providers/Microsoft\.MachineLearningServices/)?workspaces/(?P<workspace>[^/]+)/)?"
    r"datastores/(?P<name>[^/]+)/paths/(?P<path>.+)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Datastore:
    """A blob container with the credential stored in the workspace: a SAS token, the account's key, or none, so that
    reading needs an identity with access."""

    name: str
    account: str  # https://ACCOUNT.blob.core.windows.net
    container: str
    sas: str = field(default="", repr=False)
    key: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The container's URL, without a credential."""
        return f"{self.account}/{quote(self.container)}"

    @classmethod
    def of_container(cls, name: str, url: str, sas: str = "") -> Datastore:
        """Parses a container's URL. Raises ValueError for anything else, and for a URL with a credential."""
        split = urlsplit(url)
        container = unquote(split.path.strip("/"))
        if split.query:
            raise ValueError("contains a SAS token, which others can see: name an environment variable that has it")
        if split.scheme != "https" or not split.hostname or split.username or not container or "/" in container:
            raise ValueError("must be a container's address: https://ACCOUNT.blob.core.windows.net/CONTAINER")
        return cls(name, f"https://{split.netloc}", container, sas.removeprefix("?"))


@dataclass(frozen=True)
class DatastorePath:
    """A file or folder in a datastore. `workspace`: subscription, resource group and name, if the path has them."""

    name: str
    path: str
    workspace: tuple[str, str, str] | None = None

    @classmethod
    def parse(cls, text: str) -> DatastorePath:
        """Parses ``azureml://NAME/PATH``, or the studio's ``azureml://[subscriptions/…/workspaces/W/]datastores/NAME/
        paths/PATH``. Raises ValueError."""
        rest = text[len(_SCHEME) :]
        match = _LONG.fullmatch(rest)
        if match is not None:
            where = match["subscription"], match["group"], match["workspace"]
            return cls(match["name"], _plain(match["path"]), where if match["workspace"] else None)
        name, _, path = rest.partition("/")
        if not name or not path:
            raise ValueError(f"{text} names no file in a datastore: write azureml://DATASTORE/PATH")
        return cls(name, _plain(path))


def is_datastore_path(path: str) -> bool:
    """Whether it begins with azureml://."""
    return path[: len(_SCHEME)].lower() == _SCHEME


def _plain(path: str) -> str:
    if "?" in path or "#" in path:
        raise ValueError(f"the path {path.partition('?')[0]} in the datastore contains ? or #, which are not supported")
    return path.strip("/")
