"""Makes a data set of pairs as they are, for a script that reads them itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.interop.azureml_datasets.asset_reader import AssetReader
from mitorch_service.interop.azureml_datasets.dataset_import import Pair
from mitorch_service.interop.azureml_datasets.run_arguments import RunArguments, ordered, pair_of
from mitorch_service.models.base import JsonObject
from mitorch_service.models.dataset import DatasetRef, DatasetSplit

_OPTIONS = ("train_sets", "test_sets")
_SPLITS = {"train_sets": "train", "test_sets": "val"}


@dataclass(frozen=True)
class RawSets:
    """The splits: the label tables are their text files, the folders of the images their support files."""

    splits: Mapping[str, DatasetSplit]
    tables: Mapping[str, Sequence[str]]  # names in the container, by the option that lists them
    datastore: str
    imported_from: JsonObject

    @property
    def first_table(self) -> str:
        """The text file of the train split."""
        return self.tables["train_sets"][0]


def pairs_of(reader: AssetReader, args: RunArguments) -> dict[str, list[Pair]]:
    """The pairs at their versions, images first, by the option that lists them. Raises InvalidInput, BackendError."""
    given = {"train_sets": args.train_sets, "test_sets": args.test_sets}
    return {option: [_pair(reader, *refs) for refs in given[option]] for option in _OPTIONS}


def raw_sets(reader: AssetReader, args: RunArguments) -> RawSets:
    """Looks up the sets. Raises InvalidInput if they are not of one datastore, or a table is not one file."""
    tables: dict[str, list[str]] = {}
    support: dict[str, list[str]] = {}
    stores: set[str] = set()
    for option, pairs in pairs_of(reader, args).items():
        tables[option], support[option] = [], []
        for pair in pairs:
            for place in reader.define(reader.find(pair.images)).places:
                stores.add(place.datastore)
                support[option].append(f"azureml://{place.datastore}/{place.folder}/")
            places = reader.define(reader.find(pair.labels)).places
            names = [(place.datastore, name) for place in places for name in reader.table_files(place)]
            if len(names) != 1:
                problem = f"is a table of {len(names)} files: a script gets one"
                raise InvalidInput(str(pair.labels), [Problem(option, problem)])
            stores.add(names[0][0])
            tables[option].append(names[0][1])
    if len(stores) != 1:
        problem = f"are in the datastores {', '.join(sorted(stores))}: a run reads one container"
        raise InvalidInput("train_sets, test_sets", [Problem("", problem)])
    (store,) = stores
    tested = "test_sets" if tables["test_sets"] else "train_sets"
    splits = {
        _SPLITS[option]: _split(store, tables[source], support[source])
        for option, source in (("train_sets", "train_sets"), ("test_sets", tested))
    }
    return RawSets(splits, tables, store, {"system": "azureml", "data": reader.versions})


def _pair(reader: AssetReader, first: DatasetRef, second: DatasetRef) -> Pair:
    return pair_of(*ordered(reader.find(first), reader.find(second)))


def _split(store: str, tables: Sequence[str], images: Sequence[str]) -> DatasetSplit:
    first, *others = (f"azureml://{store}/{name}" for name in tables)
    return DatasetSplit(path=first, support_files=[*others, *dict.fromkeys(images)])
