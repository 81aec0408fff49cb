"""A training that another system ran, on its page and by the API."""

from __future__ import annotations

from pathlib import Path

from mitorch_service.interop.import_runs import import_options, import_runs
from mitorch_service.interop.registry import open_system
from tests.foreign_runs.fixtures import unpack
from tests.served import served


def test_the_page_says_where_it_comes_from(tmp_path: Path) -> None:
    with served(tmp_path, trainings=1, trials=1) as viewer:
        options = import_options((), 1000, "auto", False, False, False)
        report = import_runs(viewer.store, open_system("trackio"), unpack("trackio", tmp_path), options)
        id = next(id for id, _, _, name in report.imported if name == "first größer")
        client = viewer.client()
        page = client.get(f"/trainings/{id}").text
        assert "trackio, run" in page
        assert "of digits" in page
        assert "train/loss: train_loss" in page
        assert "None here: it was imported from trackio." in page
        assert "Node hours" not in page
        assert 'data-action="retry"' not in page
        assert client.get(f"/api/trainings/{id}").json()["imported_from"]["system"] == "trackio"
        assert client.post(f"/api/trainings/{id}/retry").status_code == 409
