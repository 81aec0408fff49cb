"""Reads where the data of an Azure ML data set is: MLTable documents, and what dataprep stored before these."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mitorch_service.errors import DataError
from mitorch_service.models.blob_storage.datastore import DatastorePath, is_datastore_path
from mitorch_service.models.config.yaml_text import check_merges

_GLOBS = "*?["
_PATH_KEYS = ("pattern", "file", "folder")


@dataclass(frozen=True)
class AssetPlace:
    """A place in a datastore: a file, a folder with all below it, or a pattern of files."""

    datastore: str
    path: str  # without a slash at its ends; a pattern has * or ?

    @property
    def folder(self) -> str:
        """The folder that holds all of it, without a slash at its ends; empty for the whole container."""
        steps = self.path.split("/")
        first = next((i for i, step in enumerate(steps) if any(sign in step for sign in _GLOBS)), None)
        if first is not None:
            return "/".join(steps[:first])
        return posixpath.dirname(self.path) if "." in steps[-1] else self.path


@dataclass(frozen=True)
class AssetDefinition:
    """The places of a data set, and how its tables are written."""

    places: tuple[AssetPlace, ...]
    delimiter: str = ","
    encoding: str = "utf-8"
    is_parquet: bool = False  # by its steps; else the names of the files tell


def parse_definition(name: str, text: str, base: str = "") -> AssetDefinition:
    """Parses an MLTable document, or a dataflow of dataprep 1. `base`: the azureml:// folder that relative paths start
    from. Raises DataError, naming the data set, for anything else."""
    if text.lstrip().startswith("{"):
        return _of_dataflow(name, text)
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        check_merges(text)
        document = YAML(typ="safe").load(text)
    except (YAMLError, ValueError, TypeError, RecursionError) as error:  # TypeError: of keys that are lists
        raise DataError(f"the definition of {name} is not YAML ({str(error).splitlines()[0]})") from error
    entries = document.get("paths") if isinstance(document, Mapping) else None
    if not isinstance(entries, list) or not entries:
        raise DataError(f"the definition of {name} names no paths: register it anew from files of a datastore")
    places = tuple(_place(name, _path_of(entry), base) for entry in entries)
    delimiter, encoding, is_parquet = _table_options(document.get("transformations") or [])
    return AssetDefinition(places, _one_character(name, delimiter), encoding, is_parquet)


def of_path(name: str, path: str) -> AssetDefinition:
    """Returns the definition of a file or folder of a datastore. Raises DataError."""
    return AssetDefinition((_place(name, path, ""),))


def _path_of(entry: object) -> str:
    if isinstance(entry, Mapping):
        entry = next((entry[key] for key in _PATH_KEYS if key in entry), None)
    return entry if isinstance(entry, str) else ""


def _place(name: str, path: str, base: str) -> AssetPlace:
    if base and path and not is_datastore_path(path) and "://" not in path:
        store, _, folder = base.removeprefix("azureml://").partition("/")
        path = f"azureml://{store}/{posixpath.normpath(posixpath.join('/', folder, path)).lstrip('/')}"
    try:
        if not is_datastore_path(path):
            raise ValueError(f"{path or 'nothing'} is in no datastore")
        parsed = DatastorePath.parse(path.replace("?", "%3F"))
    except ValueError as error:
        remedy = "only files of a datastore (a blob container that the workspace knows) can be read"
        raise DataError(f"the data set {name}: {error}; {remedy}") from error
    return AssetPlace(parsed.name, parsed.path.replace("%3F", "?"))


def _table_options(steps: object) -> tuple[str, str, bool]:
    for step in steps if isinstance(steps, list) else []:
        if step == "read_parquet" or (isinstance(step, Mapping) and "read_parquet" in step):
            return ",", "utf-8", True
        options = step.get("read_delimited") if isinstance(step, Mapping) else None
        if isinstance(options, Mapping):
            return str(options.get("delimiter") or ","), _encoding(options.get("encoding")), False
    return ",", "utf-8", False


def _encoding(value: object) -> str:
    known = {"utf8": "utf-8", "utf8bom": "utf-8-sig", "iso88591": "latin-1", "windows1252": "cp1252"}
    return known.get(str(value or "utf8").lower().replace("-", "").replace("_", ""), "utf-8")


def _of_dataflow(name: str, text: str) -> AssetDefinition:
    """Reads a dataflow of dataprep 1: steps, of which the first reads files of datastores."""
    try:
        blocks: list[dict[str, Any]] = json.loads(text).get("blocks") or []
        first = next(block["arguments"] for block in blocks if "DatastoreFiles" in str(block.get("type")))
        found = [(str(one["datastoreName"]), str(one["path"]).strip("/")) for one in first["datastores"]]
        parse: dict[str, Any] = next((b["arguments"] for b in blocks if "ParseDelimited" in str(b.get("type"))), {})
        separator = str(parse.get("separator") or ",")
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration, RecursionError) as error:
        raise DataError(f"the definition of {name} is in no form that is known: register it anew") from error
    places = tuple(AssetPlace(datastore, path) for datastore, path in found)
    return AssetDefinition(places, _one_character(name, separator))


def _one_character(name: str, delimiter: str) -> str:
    """Returns the delimiter of a table. Raises DataError for one that no table can have."""
    if len(delimiter) != 1 or delimiter in '\r\n"\0':
        raise DataError(
            f"the definition of {name}: the delimiter {delimiter[:20]!r} is not one character: register it anew"
        )
    return delimiter
