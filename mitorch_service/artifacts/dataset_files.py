"""Provides the files of data sets as local paths, with cached copies of files in blob storage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mitorch_service.artifacts.blob.url import BlobUrl
from mitorch_service.errors import ArtifactError, DataError, MissingExtra, Problem
from mitorch_service.file_access import PRIVATE, FileAccess
from mitorch_service.models.blob_storage.sas import is_folder_url, is_url, without_sas
from mitorch_service.models.dataset import Dataset, DatasetSplit

if TYPE_CHECKING:
    from mitorch_service.artifacts.blob.cache import BlobCache

CACHE_LIMIT = 200 << 30  # bytes of files that no run uses
_PARALLEL = 8  # requests at a time


class DatasetFiles:
    """Downloads files once for all runs on this machine, as long as their ETags stay the same."""

    def __init__(self, cache: Path, limit: int = CACHE_LIMIT, access: FileAccess = PRIVATE) -> None:
        """`limit`: bytes of unused files to keep in the folder `cache`; the least recently used are evicted first."""
        self._cache = cache
        self._limit = limit
        self._access = access

    @contextmanager
    def local_paths(self, dataset: Dataset) -> Iterator[dict[str, Path]]:
        """Provides, until the context ends, the local path of each split's text file, with the support files at their
        paths relative to it; of a URL that ends in a slash, all files of that folder.

        Raises DataRefused by the storage, DataError for files that are missing or damaged, ArtifactError for temporary
        failures.
        """
        urls = _urls(dataset)
        if not urls:
            yield {name: Path(split.path) for name, split in dataset.splits().items()}
            return
        with _azure_extra():
            from mitorch_service.artifacts.blob.fetch import BlobFetch
            from mitorch_service.artifacts.blob.folder_listing import blobs_in
        cache = self._open_cache()
        with cache.view() as folder:
            folders = {path: url for path, url in urls.items() if is_folder_url(path)}
            listed = {path: dict(blobs_in(url)) for path, url in folders.items()}
            if empty := next((path for path, found in listed.items() if not found), None):
                raise DataError(f"data set {dataset.ref}: the folder {empty} has no file. Register a new version.")
            known = {url: version for found in listed.values() for url, version in found.items()}
            places = {url: _place(folder, url) for url in urls.values()}
            files = [url for path, url in urls.items() if path not in folders]
            BlobFetch(str(dataset.ref), cache).fetch({url: _place(folder, url) for url in (*files, *known)}, known)
            splits = dataset.splits().items()
            yield {name: places[urls[split.path]] if split.path in urls else Path(split.path) for name, split in splits}

    def check_access(self, dataset: Dataset) -> None:
        """Requests the version of one file of each split that is in blob storage. Raises as `local_paths` does."""
        urls = _urls(dataset)
        if not urls:
            return
        with _azure_extra():
            from mitorch_service.artifacts.blob.fetch import current_version
        for url in dict.fromkeys(urls[split.path] for split in dataset.splits().values() if split.path in urls):
            current_version(url)

    def problems(self, splits: Mapping[str, DatasetSplit]) -> list[Problem]:
        """Returns the problems with the splits' URLs (with SAS tokens). Requests each file once; downloads nothing."""
        problems: list[Problem] = []
        wanted: dict[str, BlobUrl] = {}
        folders: set[str] = set()
        for name, split in splits.items():
            urls, wrong = _parsed(name, split)
            problems += wrong
            wanted |= {} if wrong else urls
            folders |= {
                f"{name}.support_files[{i}]" for i, path in enumerate(split.support_files) if is_folder_url(path)
            }
        if wanted:
            with ThreadPoolExecutor(_PARALLEL) as pool:
                answers = zip(
                    wanted, pool.map(_unreachable, wanted.values(), map(folders.__contains__, wanted)), strict=True
                )
                problems += [Problem(where, answer) for where, answer in answers if answer]
        return problems

    def _open_cache(self) -> BlobCache:
        from mitorch_service.artifacts.blob.cache import BlobCache

        try:
            return BlobCache(self._cache, self._limit, self._access)
        except OSError as error:
            remedy = f"{error.strerror or error}. Set MITORCH_HOME to a folder that can be written"
            raise ArtifactError("cache", str(self._cache), remedy) from error


def _place(view: Path, url: BlobUrl) -> Path:
    return view.joinpath(*url.parts)


def _urls(dataset: Dataset) -> dict[str, BlobUrl]:
    """Returns the URLs to download, with SAS tokens, by path as registered. Raises DataError."""
    paths = [path for split in dataset.splits().values() for path in (split.path, *split.support_files) if is_url(path)]
    try:
        return {path: BlobUrl.parse(dataset.with_sas(path)) for path in paths}
    except ValueError as error:
        raise DataError(f"data set {dataset.ref}: a URL {error}. Register a new version.") from error


def _parsed(name: str, split: DatasetSplit) -> tuple[dict[str, BlobUrl], list[Problem]]:
    """Returns the URLs of a split by field, and the problems with their syntax."""
    fields = {f"{name}.support_files[{index}]": path for index, path in enumerate(split.support_files)}
    fields = {f"{name}.path": split.path, **fields}
    if not any(map(is_url, fields.values())):
        return {}, []
    if not all(map(is_url, fields.values())):
        return {}, [Problem(name, "mixes URLs with files of this machine: use one or the other for all files")]
    urls, problems = {}, []
    for field, path in fields.items():
        try:
            urls[field] = BlobUrl.parse(path)
        except ValueError as error:
            problems.append(Problem(field, f"{without_sas(path)} {error}"))
    problems += [Problem(field, f"{url} names a container, not a file") for field, url in urls.items() if not url.name]
    if len({url.parts[:2] for url in urls.values()}) > 1:
        text = "are in several containers, but the text file names them relative to itself: put all into one"
        problems.append(Problem(f"{name}.support_files", text))
    return urls, problems


def _unreachable(url: BlobUrl, folder: bool) -> str | None:
    with _azure_extra():
        from mitorch_service.artifacts.blob.client import CHECK_RETRIES
        from mitorch_service.artifacts.blob.fetch import current_version
        from mitorch_service.artifacts.blob.folder_listing import blobs_in
    try:
        if not folder:
            current_version(url, CHECK_RETRIES)
        elif next(blobs_in(url, CHECK_RETRIES), None) is None:
            return f"the folder {url}/ has no file"
    except (DataError, ArtifactError) as error:
        return str(error)
    return None


@contextmanager
def _azure_extra() -> Iterator[None]:
    """Raises MissingExtra if Azure's SDK, which only data sets from URLs need, is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "azure-storage-blob", "azure") from error
