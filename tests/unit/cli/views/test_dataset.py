"""The origin of a data set, and what an export of it may be mistaken for."""

from __future__ import annotations

from mitorch_service.cli.dataset_commands.export import meant_format
from mitorch_service.cli.views.dataset import origin_text
from tests.samples import a_dataset

AZUREML = {"system": "azureml", "data": {"sea_images": "3", "sea_labels": "12"}}


def test_sets_of_a_workspace_are_told_with_their_versions() -> None:
    assert origin_text(AZUREML) == "azureml; sea_images:3, sea_labels:12"
    assert origin_text({"system": "obdb", "tasks": [{"name": "A", "updated_date": "2020"}]}) == "obdb; A (2020)"


def test_text_is_that_of_the_system_which_a_set_is_from() -> None:
    ours = a_dataset()
    theirs = ours.model_copy(update={"imported_from": AZUREML})
    assert [meant_format(one, "text") for one in (theirs, ours, None)] == ["box-lines", "text", "text"]
    assert [meant_format(one, "mitorch-text") for one in (theirs, ours, None)] == ["text"] * 3
    assert [meant_format(one, "box-lines") for one in (theirs, ours)] == ["box-lines"] * 2
    assert meant_format(theirs, "csv") == "csv"
