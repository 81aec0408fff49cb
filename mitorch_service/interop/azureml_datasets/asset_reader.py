"""Looks up sets of a workspace, and where their data is."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from typing import Protocol

from mitorch_service.backends.optional import DataAsset, DataAssets
from mitorch_service.interop.azureml_datasets.definition import AssetDefinition, AssetPlace, of_path, parse_definition
from mitorch_service.interop.azureml_datasets.pairing import matching
from mitorch_service.models.dataset import DatasetRef


class ContainerFiles(Protocol):
    """The files of a datastore's container."""

    def below(self, folder: str) -> Iterator[str]:
        """Yields the names of all blobs below a folder."""

    def lines(self, name: str, encoding: str) -> Iterator[str]:
        """Yields the lines of a text file."""

    def content(self, name: str) -> bytes:
        """Returns a file whole."""

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, in the place of one of this name."""


class AssetReader:
    """The sets of a workspace, each looked up once. Raises BackendError, DataError, ArtifactError."""

    def __init__(self, assets: DataAssets, open_files: Callable[[str], ContainerFiles]) -> None:
        """`open_files`: by the name of a datastore."""
        self._assets = assets
        self.files = open_files
        self._found: dict[str, DataAsset] = {}

    @property
    def versions(self) -> dict[str, str]:
        """The versions of what was looked up, by name."""
        return {asset.name: asset.version for asset in self._found.values()}

    def find(self, ref: DatasetRef) -> DataAsset:
        """Returns a version, the newest if `ref` names none."""
        if str(ref) not in self._found:
            version = None if ref.version is None else str(ref.version)
            self._found[str(ref)] = self._assets.data_asset(ref.name, version)
        return self._found[str(ref)]

    def define(self, asset: DataAsset) -> AssetDefinition:
        """Returns where its data is; of an MLTable asset from the file in its folder."""
        if asset.definition is not None:
            return parse_definition(asset.name, asset.definition)
        path = asset.path or ""
        if asset.kind != "mltable":
            return of_path(asset.name, path)
        folder = of_path(asset.name, path).places[0]
        text = "\n".join(self.files(folder.datastore).lines(f"{folder.path}/MLTable", "utf-8"))
        return parse_definition(asset.name, text, f"azureml://{folder.datastore}/{folder.path}")

    def table_files(self, place: AssetPlace) -> list[str]:
        """The names of the files of a table."""
        if "." in posixpath.basename(place.path) and not set("*?[") & set(place.path):
            return [place.path]
        return sorted(matching(place, self.files(place.datastore).below(place.folder)))
