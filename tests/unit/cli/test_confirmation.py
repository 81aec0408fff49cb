"""The question before all that fit are changed."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from mitorch_service.cli.main import call, load
from mitorch_service.settings import read_settings
from mitorch_service.wiring import open_store
from tests.samples import a_training


class Terminal(io.StringIO):
    """A person who types one line."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "code", "status"), [("y\n", 0, "canceled"), ("n\n", 1, "new"), ("\n", 1, "new")])
def test_a_filter_asks_first(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str,
    code: int,
    status: str,
) -> None:
    monkeypatch.setenv("MITORCH_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    store = open_store(read_settings(), create=True)
    trainings = [a_training(tags=["team=a"]), a_training(tags=["team=a"]), a_training()]
    store.queue.add_trainings(trainings)
    assert call(load("control"), "micontrol", ["cancel", "--tag", "team=a"]) == code
    asked = capsys.readouterr()
    assert "cancel 2 trainings? [y/N]" in asked.err
    assert ("nothing was changed" in asked.err) == (code == 1)
    assert [store.trainings.get_training(one.id).status for one in trainings] == [status, status, "new"]
    store.close()
