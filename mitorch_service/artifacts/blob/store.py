"""Stores artifacts in a container of Azure Blob Storage."""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobClient, ContainerClient

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.blob.client import RETRIES, open_container, token_to_read
from mitorch_service.artifacts.blob.download import DamagedBlob, download
from mitorch_service.artifacts.blob.storage_errors import error_code, problem
from mitorch_service.artifacts.blob.upload import upload
from mitorch_service.artifacts.blob.url import BlobRoot
from mitorch_service.errors import ArtifactError, InvalidKey, SettingsError
from mitorch_service.models.blob_storage.blob_names import blob_name_problem, can_be_asked_for
from mitorch_service.models.blob_storage.sas import sas_expiry, without_sas

_PARALLEL_DELETES = 8
_SHOWN = 200  # characters of a key, in a message


class BlobArtifactStore(ArtifactStore):
    """Replaces a blob in one step once all its blocks have arrived, each checked by its MD5."""

    def __init__(self, storage_url: str, retries: int = RETRIES) -> None:
        """`storage_url`: MITORCH_STORAGE_URL. Sends nothing yet. Raises SettingsError if it is invalid."""
        root = _parsed(storage_url)
        self._container = _opened(root, retries)
        self._prefix = root.prefix
        self._sas = root.url.sas if root.url is not None else ""
        self._where = f"{without_sas(self._container.url)}/{root.prefix}".rstrip("/")

    def put(self, key: str, source: Path) -> str:
        blob = self._blob(key)
        if (why := blob_name_problem(blob.blob_name)) is not None:
            raise self._invalid(key, why)
        with self._errors(key):
            upload(blob, source)
        return without_sas(blob.url)

    def get(self, key: str, target: Path) -> None:
        blob = self._blob(key)
        with self._errors(key):
            download(blob, target)

    def exists(self, key: str) -> bool:
        blob = self._blob(key)
        with self._errors(key):
            try:
                blob.get_blob_properties()
            except ResourceNotFoundError as error:
                if error_code(error) == "ContainerNotFound":
                    raise
                return False
            return True

    def path_for_runs(self, key: str) -> str:
        token = self._sas or token_to_read(self._container)
        url = without_sas(self._blob(key).url)
        return f"{url}?{token}" if token else url

    def keys(self, prefix: str) -> list[str]:
        start = f"{self._name(prefix)}/"
        with self._errors(prefix):
            return sorted(
                name.removeprefix(self._prefix) for name in self._container.list_blob_names(name_starts_with=start)
            )

    def delete(self, prefix: str) -> int:
        keys = self.keys(prefix)
        with self._errors(prefix), ThreadPoolExecutor(_PARALLEL_DELETES) as pool:
            return sum(pool.map(self._delete, keys))

    def check(self) -> str:
        trial = f".doctor-{uuid.uuid4().hex}"  # several may check at the same time
        key = f"{trial}/doctor.txt"
        with self._errors(key), TemporaryDirectory() as folder:
            source = Path(folder, "doctor.txt")
            source.write_text("written by mitorch doctor\n")
            self.put(key, source)
            self.get(key, Path(folder, "back.txt"))
        self.delete(f"{trial}/")
        expiry = sas_expiry(self._sas)
        return self._where + (f", until the SAS token expires on {expiry:%Y-%m-%d %H:%M} UTC" if expiry else "")

    def _delete(self, key: str) -> bool:
        try:
            self._blob(key).delete_blob(delete_snapshots="include")
        except ResourceNotFoundError:
            return False  # another process has deleted it
        return True

    def _blob(self, key: str) -> BlobClient:
        return self._container.get_blob_client(self._name(key))

    def _name(self, key: str) -> str:
        name = posixpath.normpath(key)
        if name in ("", ".", "..") or name.startswith(("/", "../")):
            raise InvalidKey(key, self._where, "the key leads out of the store")
        if not can_be_asked_for(name):
            raise self._invalid(key, "has a control character, or no valid Unicode")
        return self._prefix + name

    def _invalid(self, key: str, why: str) -> InvalidKey:
        return InvalidKey(f"{key[:_SHOWN]!r}", self._where, f"no blob can have this name: it {why}. Rename the file")

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except AzureError as error:
            # not chained: the SDK's message quotes the request with its credentials
            raise ArtifactError(key, self._where, problem(error, self._sas)) from None
        except DamagedBlob:
            text = "the stored file does not match its MD5: it is damaged. Store it again"
            raise ArtifactError(key, self._where, text) from None
        except OSError as error:
            raise ArtifactError(key, self._where, error.strerror or str(error)) from error


def _parsed(storage_url: str) -> BlobRoot:
    try:
        return BlobRoot.parse(storage_url)
    except ValueError as error:
        remedy = "Copy the address again from the Azure portal."
        raise SettingsError("MITORCH_STORAGE_URL", str(error), remedy) from error


def _opened(root: BlobRoot, retries: int) -> ContainerClient:
    try:
        return open_container(root, retries)
    except ValueError:  # not chained: the SDK's message may repeat the connection string
        remedy = "Copy it again from the Azure portal."
        raise SettingsError("MITORCH_STORAGE_URL", "the connection string is malformed", remedy) from None
