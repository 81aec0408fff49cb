"""Finds the container in which artifacts are kept where no setting says so: that of a workspace's default datastore."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mitorch_service.artifacts.datastore_urls import file_url
from mitorch_service.backends.optional import DatastoreRegistry
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.errors import ArtifactError, BackendError, MissingExtra
from mitorch_service.file_access import FileAccess
from mitorch_service.known_secrets import know, secrets_of_url

FOLDER = "mitorch-artifacts"  # in the container, which the studio uses, too
_PERMISSIONS = "racwdl"
_TERM = timedelta(days=365)  # of a token made from the account's key: as those of data sets
_REMEDY = "Or set MITORCH_STORAGE_URL to a container or a folder."
_KNOWN_FOR = timedelta(days=1)  # before the workspace is asked again: its key may have been renewed


@dataclass(frozen=True)
class WorkspaceStorage:
    """The address of the artifacts in a workspace's default datastore, kept in a file of the home for a day.

    The file holds a token for the container, never the account's key, and nobody else may read it.
    """

    cluster: AzureMLCluster
    cache: Path
    access: FileAccess
    open_datastores: Callable[[AzureMLCluster], DatastoreRegistry]
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def url(self) -> str:
        """Returns the address, with a token unless an identity is to be used; where the workspace cannot be asked, the
        one that was known last. Raises BackendError."""
        url = self._known(_KNOWN_FOR)
        if url is None:
            try:
                url = self._asked()
            except BackendError:
                url = self._known(_TERM)
                if url is None:
                    raise
        know(secrets_of_url(url))
        return url

    def url_of_artifacts(self) -> str:
        """Returns `url`. Raises ArtifactError."""
        try:
            return self.url()
        except BackendError as error:
            remedy = error.remedy if "MITORCH_STORAGE_URL" in error.remedy else f"{error.remedy} {_REMEDY}"
            where = f"the default datastore of the workspace {self.cluster.workspace}"
            raise ArtifactError("store", where, f"{error.problem}. {remedy}") from error

    def forget(self) -> None:
        """Has the workspace asked anew."""
        self.cache.unlink(missing_ok=True)

    def _asked(self) -> str:
        now = self.clock()
        try:
            datastore = self.open_datastores(self.cluster).default_datastore()
            url = file_url(datastore, FOLDER, now + _TERM, _PERMISSIONS)
        except (ModuleNotFoundError, MissingExtra) as error:
            name = self.cluster.name
            raise BackendError(name, f"its storage cannot be asked for: {error}", _REMEDY) from error
        self._keep({"of": self._of(), "at": now.isoformat(), "url": url})
        return url

    def _known(self, age: timedelta) -> str | None:
        try:
            kept = json.loads(self.cache.read_bytes())
            fresh = timedelta(0) <= self.clock() - datetime.fromisoformat(kept["at"]) < age
            return str(kept["url"]) if fresh and kept["of"] == self._of() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # none yet, or not ours: the workspace is asked

    def _keep(self, found: dict[str, str]) -> None:
        """Writes the file; where it cannot be written, each command asks."""
        part = self.cache.with_name(f"{self.cache.name}.{os.getpid()}.part")
        try:
            self.access.make_folder(self.cache.parent)
            with open(part, "w", opener=self.access.opener) as file:
                json.dump(found, file)
            part.replace(self.cache)
        except OSError:
            part.unlink(missing_ok=True)

    def _of(self) -> str:
        names = (self.cluster.subscription_id, self.cluster.resource_group or "", self.cluster.workspace)
        return "/".join(names).lower()
