"""Makes a data set of image sets and label sets of an Azure ML workspace."""

from __future__ import annotations

import hashlib
import io
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box
from mitorch_service.annotations.text_lines import class_list_text
from mitorch_service.annotations.writers.csv_rows import CsvRows
from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.interop.azureml_datasets.asset_reader import AssetReader
from mitorch_service.interop.azureml_datasets.definition import AssetDefinition, AssetPlace
from mitorch_service.interop.azureml_datasets.label_table import LabelTable, read_label_table, rows_of
from mitorch_service.interop.azureml_datasets.pairing import ImageNames, relative_paths
from mitorch_service.interop.azureml_datasets.parquet_table import parquet_lines
from mitorch_service.interop.obdb.annotated_frames import split_every
from mitorch_service.models.base import JsonObject
from mitorch_service.models.blob_storage.datastore import DatastorePath
from mitorch_service.models.dataset import DatasetRef, DatasetSplit
from mitorch_service.wording.counted import counted

_PARQUET = (".parquet", ".pq")
_SHOWN = 3
_MOST_FOLDERS = 200
_OURS = "mitorch"  # the folder of a container for what we write into it


@dataclass(frozen=True)
class Pair:
    """An image set and its label set: NAME or NAME:VERSION."""

    images: DatasetRef
    labels: DatasetRef


@dataclass(frozen=True)
class Pairing:
    """How images and labels are joined and divided."""

    datastore_name: str | None = None  # before `image_url`, as DATASTORE_NAME is; None: that of the datastore
    min_confidence: float = 0.0
    val_every: int = 10  # images, of which one validates, if no pair is for validation


@dataclass(frozen=True)
class PairedDataset:
    """The splits of the data set, by azureml:// paths, where it came from, and remarks for people."""

    splits: Mapping[str, DatasetSplit]
    imported_from: JsonObject
    remarks: Sequence[str]


class PairImport:
    """Joins pairs of a workspace. Raises InvalidInput, DataError, BackendError, ArtifactError; then nothing was
    written."""

    def __init__(self, reader: AssetReader, pairing: Pairing) -> None:
        self._reader = reader
        self._pairing = pairing
        self._remarks: list[str] = []

    def make(self, name: str, train: Sequence[Pair], val: Sequence[Pair] = ()) -> PairedDataset:
        """Writes the annotations into the images' container, below ``mitorch/NAME``, and returns the splits."""
        lists = {"train": [image for pair in train for image in self._join(pair)]}
        lists["val"] = [image for pair in val for image in self._join(pair)]
        stores = {image.datastore for images in lists.values() for image in images}
        self._check(name, lists, stores)
        images = {split: [one.image for one in found] for split, found in lists.items()}
        if not val:
            images["train"], images["val"], moved = split_every(images["train"], self._pairing.val_every)
            self._remarks += moved
            if not any(image.boxes for image in images["val"]):
                problem = (
                    "too few images with objects: none is left to validate. Name a pair for it, or lower --val-every"
                )
                raise InvalidInput(name, [Problem("--val-every", problem)])
        counts = ", ".join(f"{len(found)} {split}" for split, found in images.items())
        splits = self._write(name, next(iter(stores)), images)
        return PairedDataset(splits, {"system": "azureml", "data": self._reader.versions}, [counts, *self._remarks])

    def _join(self, pair: Pair) -> list[_Placed]:
        names = self._images(pair.images)
        table = self._labels(pair.labels)
        shown = [name for name in (self._pairing.datastore_name, names.datastore) if name]
        found = {url: names.find(url, shown) for url in table.boxes}
        missing = [url for url, blob in found.items() if blob is None]
        if missing:
            first = ", ".join(missing[:_SHOWN]) + ", …" * (len(missing) > _SHOWN)
            where = f"not in {pair.images} ({names.datastore}/{names.folders[0] if names.folders else ''})"
            problem = f"{counted(len(missing), 'image')} of {len(found)} {where}: {first}. See --datastore-name"
            raise InvalidInput(str(pair.labels), [Problem("image_url", problem)])
        self._tell(pair, table, len(names.names - {blob for blob in found.values() if blob}))
        merged: dict[str, list[Box]] = {}
        for url, boxes in table.boxes.items():
            merged.setdefault(found[url] or "", []).extend(boxes)
        return [_Placed(names.datastore, AnnotatedImage(blob, 0, 0, tuple(boxes))) for blob, boxes in merged.items()]

    def _images(self, ref: DatasetRef) -> ImageNames:
        places = self._reader.define(self._reader.find(ref)).places
        stores = sorted({place.datastore for place in places})
        if len(stores) > 1:
            problem = f"has images in the datastores {', '.join(stores)}: register one pair for each"
            raise InvalidInput(str(ref), [Problem("--azureml-images", problem)])
        found, files = ImageNames(stores[0]), self._reader.files(stores[0])
        for place in places:
            found.add(place, files.below(place.folder))
        if not found.names:
            raise InvalidInput(str(ref), [Problem("--azureml-images", f"has no file at {places[0].path}")])
        return found

    def _labels(self, ref: DatasetRef) -> LabelTable:
        definition = self._reader.define(self._reader.find(ref))
        lines = (line for place in definition.places for line in self._lines(place, definition))
        table = read_label_table(str(ref), lines, definition.delimiter, self._pairing.min_confidence)
        if table.problems:
            raise InvalidInput(str(ref), table.problems)
        return table

    def _lines(self, place: AssetPlace, definition: AssetDefinition) -> Iterator[str]:
        files = self._reader.files(place.datastore)
        for number, name in enumerate(self._reader.table_files(place)):
            if definition.is_parquet or name.lower().endswith(_PARQUET):
                lines = parquet_lines(name, files.content(name), definition.delimiter)
            else:
                lines = (f"{line}\n" for line in files.lines(name, definition.encoding))
            if number:  # each file has the header
                next(lines, None)
            yield from lines

    def _tell(self, pair: Pair, table: LabelTable, unlabelled: int) -> None:
        told = {
            f"below the confidence {self._pairing.min_confidence:g}": table.unsure,
            "without an area": table.empty,
        }
        self._remarks += [f"{pair.labels}: {counted(n, 'object')} {why} left out" for why, n in told.items() if n]
        if unlabelled:
            self._remarks.append(f"{pair.images}: {counted(unlabelled, 'image')} without a row of labels left out")

    def _check(self, name: str, lists: Mapping[str, list[_Placed]], stores: set[str]) -> None:
        if not any(one.image.boxes for one in lists["train"]):
            problem = "no image has an object: nothing to train on. Is --min-confidence too high?"
            raise InvalidInput(name, [Problem("--azureml-labels", problem)])
        if len(stores) > 1:
            problem = f"are in the datastores {', '.join(sorted(stores))}: a data set lies in one container"
            raise InvalidInput(name, [Problem("--azureml-images", problem)])
        twice = {one.image.path for one in lists["train"]} & {one.image.path for one in lists["val"]}
        if twice:
            self._remarks.append(f"{counted(len(twice), 'image')} in both splits: metrics flatter")

    def _write(self, name: str, store: str, images: Mapping[str, list[AnnotatedImage]]) -> dict[str, DatasetSplit]:
        names = sorted({box.class_name for found in images.values() for image in found for box in image.boxes})
        labels = class_list_text(names).encode()
        tables = {split: _table(found, f"{_OURS}/{name}/x") for split, found in images.items()}
        digest = hashlib.sha256(labels + b"".join(tables.values())).hexdigest()[:16]
        folder, files = f"{_OURS}/{name}/{digest}", self._reader.files(store)
        files.write(f"{folder}/labels.txt", labels)
        for split, content in tables.items():
            files.write(f"{folder}/{split}.csv", content)
        support = [str(_path(store, f"{folder}/labels.txt")), *_folders(store, images)]
        return {
            split: DatasetSplit(path=_path(store, f"{folder}/{split}.csv"), support_files=support) for split in tables
        }


@dataclass(frozen=True)
class _Placed:
    """An image by the name of its blob."""

    datastore: str
    image: AnnotatedImage


def _table(images: Sequence[AnnotatedImage], folder: str) -> bytes:
    """Our CSV of boxes, for a file in `folder` of the same container."""
    paths = relative_paths({image.path: None for image in images}, folder)
    text = io.StringIO()
    rows = rows_of((paths[image.path], list(image.boxes)) for image in images)
    CsvRows(text).writerows(rows)
    return text.getvalue().encode()


def _folders(store: str, images: Mapping[str, list[AnnotatedImage]]) -> list[str]:
    """The folders of the images, those within others left out: a run fetches all that is below them."""
    every = sorted({posixpath.dirname(image.path) for found in images.values() for image in found})
    if "" in every:
        problem = "lie beside everything else in the container: put them into a folder"
        raise InvalidInput(store, [Problem("--azureml-images", problem)])
    outer: list[str] = []
    for folder in every:
        if not outer or not f"{folder}/".startswith(f"{outer[-1]}/"):
            outer.append(folder)
    if len(outer) > _MOST_FOLDERS:
        outer = sorted({folder.partition("/")[0] for folder in outer})
    return [f"{_path(store, folder)}/" for folder in outer]


def _path(store: str, path: str) -> str:
    DatastorePath.parse(f"azureml://{store}/{path}")
    return f"azureml://{store}/{path}"
