"""The pictures of a search: which there are, and what they leave out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.search.analysis.search_plots import can_draw, draw_search
from mitorch_service.search.base import History, TrialRecord, TrialState
from mitorch_service.search.samplers.registry import sampler
from tests.quick_pictures import write_pixel
from tests.unit.search.samples import CONDITIONAL, NUMBERS, completed, searched, study_of


@pytest.fixture(autouse=True)
def _quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", write_pixel)


def loss(config: dict[str, Any]) -> tuple[float, ...]:
    return (math.log10(config["lr"]) ** 2,)


def test_a_search_of_conditional_parameters_is_drawn_whatever_became_of_its_trials(tmp_path: Path) -> None:
    branches = {"optimizer": CONDITIONAL["optimizer"], "lr": CONDITIONAL["lr"]}
    study = study_of({**branches, "cost $": {"_choice": ["$5 to $10", 1, True, 1]}})
    records = searched(sampler("random", study), loss, 16)
    records[3] = TrialRecord(3, records[3].point, TrialState.FAILED)
    records[4] = TrialRecord(4, records[4].point, TrialState.PRUNED, curve={1: 0.5})
    records[5] = completed(5, records[5].point, 1e308)
    records[6] = completed(6, records[6].point)
    history = History(study, [*records, TrialRecord(-1, records[0].point, TrialState.COMPLETED, (0.5,))])
    assert can_draw(history)
    names = [path.stem for path in draw_search(history, ["val_loss"], tmp_path)]
    assert names == ["history", "slice", "importance", "parallel"]
    assert sorted(path.stem for path in tmp_path.glob("*.png")) == sorted(names)


def test_several_objectives_have_a_front_and_pictures_of_their_own(tmp_path: Path) -> None:
    study = study_of(NUMBERS, directions=("minimize", "maximize"))
    history = History(study, searched(sampler("random", study), lambda config: (config["x"], config["y"]), 12))
    names = {path.stem for path in draw_search(history, ["a", "b"], tmp_path)}
    kinds = ("history", "slice", "importance", "parallel")
    assert names == {"front", *(f"{kind}_{one}" for kind in kinds for one in "ab")}


def test_a_few_trials_or_missing_packages_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of(NUMBERS)
    records = searched(sampler("random", study), lambda config: (config["x"],), 10)
    assert can_draw(History(study, records))
    assert not can_draw(History(study, records[1:]))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "matplotlib" else object())
    assert not can_draw(History(study, records))
