"""The storage account of a workspace, as somebody without the SDK reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from tests.azureml_emulator.client import GROUP, PASSWORD, PRINCIPAL, SUBSCRIPTION, TENANT, WORKSPACE, Emulator


class Storage:
    """The workspace's own storage account, asked for without the SDK."""

    def __init__(self, azure: Emulator, workspace_path: str) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.proxies, self._session.verify = {"https": azure.proxy}, str(azure.ca_path)
        form = {"grant_type": "client_credentials", "client_id": PRINCIPAL, "client_secret": PASSWORD}
        login = f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"
        token = self._session.post(login, data=form).json()["access_token"]
        uploads = f"https://westeurope.api.azureml.ms/artifact/v2.0{workspace_path}/artifacts/batch/metadata/Local/x"
        answer = self._session.post(
            uploads, json={"paths": [{"path": "a"}]}, headers={"Authorization": f"Bearer {token}"}
        )
        uri, _, self.sas = answer.json()["artifactContentInformation"]["a"]["contentUri"].partition("?")
        self.container = f"{uri.partition('.net/')[0]}.net/datasets"

    def write(self, folder: Path) -> None:
        """Uploads all files of a folder."""
        for path in folder.iterdir():
            url = f"{self.container}/{folder.name}/{quote(path.name)}?{self.sas}"
            self._session.put(url, data=path.read_bytes()).raise_for_status()

    def close(self) -> None:
        self._session.close()


@contextmanager
def storage_of(azure: Emulator) -> Iterator[Storage]:
    """Provides the storage of the workspace that `Emulator.populate` creates."""
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.MachineLearningServices"
    storage = Storage(azure, f"{group}/workspaces/{WORKSPACE}")
    yield storage
    storage.close()


def part(*paths: str) -> dict[str, Any]:
    """A split in the datastore."""
    return {"path": f"azureml://{paths[0]}", "support_files": [f"azureml://{path}" for path in paths[1:]]}
