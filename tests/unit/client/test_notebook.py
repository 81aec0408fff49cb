"""The views of notebooks and terminals: bounded, escaped, in one place."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from mitorch_service.client.client import Client
from mitorch_service.client.connection import Connection
from mitorch_service.client.local import LocalConnection
from mitorch_service.client.progress import open_progress
from mitorch_service.client.results import Curve, Job, Training
from mitorch_service.errors import InvalidInput, MissingExtra, NoDatabase
from mitorch_service.insights.details.training_details import EpochDetails
from tests.served import NOW, served


def a_curve(epochs: int) -> Curve:
    rows = [
        EpochDetails(
            epoch=epoch,
            train_loss=float("nan") if epoch == 3 else 1 / epoch,
            val_loss=9.0 if epoch == 77 else 2 / epoch,
            metrics={"top1": epoch / epochs},
            learning_rate=0.1,
            epoch_seconds=None,
            samples_per_second=None,
            finished_at=NOW,
        )
        for epoch in range(1, epochs + 1)
    ]
    return Curve(id="0" * 36, epochs=rows)


def test_a_long_curve_is_drawn_with_its_extremes_and_few_points() -> None:
    html = a_curve(10_000)._repr_html_()
    assert len(html) < 30_000 and html.count("<polyline") == 2
    assert "to 9" in html and "nan" not in html
    assert a_curve(1)._repr_html_().count("<polyline") == 2
    assert "<svg" not in a_curve(0)._repr_html_()


def test_a_frame_has_the_metrics_as_columns_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = a_curve(4).to_pandas()
    assert list(frame["top1"]) == [0.25, 0.5, 0.75, 1.0] and frame.index.name == "epoch"
    assert list(a_curve(0).to_pandas().columns)[:2] == ["train_loss", "val_loss"]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"mitorch-service\[pandas\]"):
        a_curve(4).to_pandas()


@pytest.fixture
def states(tmp_path: Any) -> tuple[Training, Job]:
    with served(tmp_path, trials=4) as service:
        client = Client.over(LocalConnection(service.settings, lambda: NOW))
        training, job = client.get(service.training("running")), client.get(service.job)
        assert isinstance(training, Training) and isinstance(job, Job)
        return training, job


def test_a_notebook_updates_one_output(states: tuple[Training, Job], monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []

    class Handle:
        def update(self, state: object) -> None:
            shown.append(state)

    def display(state: object, display_id: bool) -> Handle:
        shown.append("display")
        return Handle()

    shell = SimpleNamespace(kernel=object())
    ipython = SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    progress = open_progress(True)
    for _ in range(3):
        progress.show(states[0])
    progress.end()
    assert shown == ["display", states[0], states[0]]
    assert "<progress value=" in states[0]._repr_html_() and "of 60 ended" in states[1]._repr_html_()


def test_a_terminal_gets_one_line_and_a_file_none(
    states: tuple[Training, Job], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_progress(True).show(states[0])
    open_progress(False).show(states[0])
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    progress = open_progress(True)
    progress.show(states[0])
    progress.show(states[1])
    progress.end()
    err = capsys.readouterr().err
    assert f"\r{states[0].id[:8]} running epoch 17/30 val_loss" in err and "4/60 trials" in err and err.endswith("\n")


def test_calls_that_cannot_be_meant_are_refused(tmp_path: Any) -> None:
    with served(tmp_path, trainings=0, trials=0) as service:
        client = Client.over(LocalConnection(service.settings))
        with pytest.raises(TypeError, match="change\\(\\) has no priorty"):
            client.change("x", priorty=3)
        (tmp_path / "bytes.json").write_bytes(b"\xff")
        with pytest.raises(InvalidInput, match="is not UTF-8 text"):
            client.submit(tmp_path / "bytes.json")
        assert isinstance(client._connection, Connection)


def test_without_arguments_the_settings_say_where_the_database_is(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MITORCH_HOME", str(tmp_path / "home"))
    client = Client()
    with pytest.raises(NoDatabase):
        client.query()
    assert not (tmp_path / "home").exists()
    id = client.submit({"script": {"command": "true"}}).id
    assert client.query().ids() == [id]
