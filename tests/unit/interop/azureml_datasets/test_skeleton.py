"""The scripts of scripts/samples/azureml_skeleton, run by hand on files."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.documents import ROOT

FOLDER = ROOT / "scripts" / "samples" / "azureml_skeleton"
CORNERS = {"bottomX": 0, "topX": 4, "bottomY": 0, "topY": 4}


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A pair: a table, and a folder with one image as a program's mount has it and one as the studio's."""
    rows = ["image_url,label,label_confidence"]
    for name, colour, place in (("red", (250, 0, 0), "main_datastore/"), ("blue", (0, 0, 250), "")):
        path = tmp_path / "images" / f"{place}sea/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), colour).save(path)
        rows.append(f'sea/{name}.png,"{[{"label": name, **CORNERS}, {"type": "unsure", **CORNERS}]}","[1, 0.2]"')
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.delitem(sys.modules, "utils", raising=False)
    return ["labels.csv", "images"]


def run(script: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    runpy.run_path(str(FOLDER / script), run_name="__main__")


def test_the_skeleton_runs_as_it_is(sets: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run("train.py", ["--train_sets", *sets, *sets, "--epochs", "1"], monkeypatch)
    assert Path("outputs/classes.txt").read_text() == "blue\nred\nunsure\n"


def test_the_example_learns(
    sets: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("train_colours.py", ["--train_sets", *sets, "--test_sets", *sets, "--min_confidence", "0.5"], monkeypatch)
    # from (128, 128, 128) to (250, 0, 0) are 218.27, of which half is left after each step
    assert "epoch 5: loss 13.6, accuracy 1.000" in capsys.readouterr().out
    assert set(json.loads(Path("outputs/colours.json").read_text())) == {"red", "blue"}
