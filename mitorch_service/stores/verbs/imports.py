"""Verbs of imports: trainings that other systems ran, with their curves."""

from __future__ import annotations

from collections.abc import Sequence

from mitorch_service.models.result import EpochResult
from mitorch_service.models.training import Training
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Query, StoredDocument
from mitorch_service.stores.verbs.runs import result_document

_WITHOUT_BULK = ("config", "error", "attempts", "evaluation", "progress", "artifacts", "imported_from")


class ImportVerbs(Verbs):
    """Adds what has ended elsewhere. Its id follows from the run, so that it is added once."""

    def imported(self, ids: Sequence[str]) -> set[str]:
        """Returns those of the ids that are in the database."""
        query = Query("trainings", {"_id": tuple(ids)}, without=_WITHOUT_BULK)
        return {document["_id"] for document in self._database.find(query)} if ids else set()

    def add_imported(self, trainings: Sequence[tuple[Training, Sequence[EpochResult]]]) -> int:
        """Adds trainings with their results: these first, so that none is there without its curve. One whose id is
        there already is left as it is. Returns how many were added."""
        present = self.imported([training.id for training, _ in trainings])
        new = [(training, results) for training, results in trainings if training.id not in present]
        records = [result_document(training.id, 0, result) for training, results in new for result in results]
        if self._database.insert("training_results", records) < len(records):
            self._replace_results(new, records)
        return self._database.insert("trainings", (training.to_document() for training, _ in new))

    def _replace_results(
        self, new: Sequence[tuple[Training, Sequence[EpochResult]]], records: Sequence[StoredDocument]
    ) -> None:
        """Takes the place of what an import has left that was killed, which may have had other options."""
        for training, _ in new:
            self._database.remove_between("training_results", f"{training.id}:", f"{training.id};")
        self._database.insert("training_results", records)
