"""The storage account of a workspace, as somebody without the SDK reaches it."""

from __future__ import annotations

import json
import re
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
        self._workspace, self._signed = workspace_path, {"Authorization": f"Bearer {token}"}
        uploads = f"https://westeurope.api.azureml.ms/artifact/v2.0{workspace_path}/artifacts/batch/metadata/Local/x"
        answer = self._session.post(uploads, json={"paths": [{"path": "a"}]}, headers=self._signed)
        uri, _, self.sas = answer.json()["artifactContentInformation"]["a"]["contentUri"].partition("?")
        self.container = f"{uri.partition('.net/')[0]}.net/datasets"

    def write(self, folder: Path) -> None:
        """Uploads all files of a folder, and of those in it."""
        for path in (path for path in folder.rglob("*") if path.is_file()):
            url = f"{self.container}/{quote(str(path.relative_to(folder.parent)))}?{self.sas}"
            self._session.put(url, data=path.read_bytes()).raise_for_status()

    def put(self, name: str, content: bytes) -> None:
        """Uploads a file under its name in the container."""
        self._session.put(f"{self.container}/{quote(name)}?{self.sas}", data=content).raise_for_status()

    def get(self, name: str) -> bytes:
        """Returns a file of the container."""
        answer = self._session.get(f"{self.container}/{quote(name)}?{self.sas}")
        answer.raise_for_status()
        return answer.content

    def names(self) -> list[str]:
        """The names of all files of the container."""
        answer = self._session.get(f"{self.container}?restype=container&comp=list&{self.sas}")
        return re.findall("<Name>([^<]+)</Name>", answer.text)

    def register_data_set(self, name: str, kind: str, pattern: str, table: str = "") -> None:
        """Registers a data set (v1) as azureml-core with dataprep 5 does. `table`: further lines of the definition."""
        where = f"azureml:/{self._workspace.replace('/providers/Microsoft.MachineLearningServices', '')}"
        definition = f'type: mltable\npaths:\n  - pattern: "{where}/datastores/{pattern}"\n{table}'
        dataflow = json.dumps({"blocks": [], "meta": {"RsDataflow": definition}})
        body: dict[str, Any] = {"name": name, "datasetType": kind, "latest": {"dataflow": dataflow}}
        url = f"https://westeurope.api.azureml.ms/dataset/v1.0{self._workspace}/datasets?ifExistsOk=true"
        self._session.post(url, json=body, headers=self._signed).raise_for_status()

    def register_data_asset(self, name: str, kind: str, path: str) -> None:
        """Registers a data asset (v2), version 1."""
        properties = {"dataType": kind, "dataUri": f"azureml:/{self._workspace}/datastores/{path}"}
        url = f"https://management.azure.com{self._workspace}/data/{name}/versions/1?api-version=2024-04-01"
        self._session.put(url, json={"properties": properties}, headers=self._signed).raise_for_status()

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
