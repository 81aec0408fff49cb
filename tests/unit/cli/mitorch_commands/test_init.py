"""mitorch init says how its config is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mitorch_service.cli.mitorch_commands.init import command
from mitorch_service.errors import InvalidInput
from tests.unit.training.pictures import png


def init(data: Path, output: Path) -> str:
    answer = CliRunner().invoke(command, [str(data), "-o", str(output)], catch_exceptions=False)
    return answer.output


def test_a_set_of_boxes_needs_validation_images_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png("red"))
    (tmp_path / "boxes.csv").write_text("image,x1,y1,x2,y2,class\na.png,1,1,4,4,cat\n")
    told = init(tmp_path / "boxes.csv", tmp_path / "one.yaml")
    assert f"mitrain {tmp_path}/one.yaml {tmp_path}/boxes.csv VAL -o weights.pth" in told


def test_a_folder_for_each_class_is_enough(tmp_path: Path) -> None:
    for name in ("cat", "owl"):
        (tmp_path / "my photos" / name).mkdir(parents=True)
        (tmp_path / "my photos" / name / "a.png").write_bytes(png("red"))
    told = init(tmp_path / "my photos", tmp_path / "one.yaml")
    assert f"mitrain {tmp_path}/one.yaml '{tmp_path}/my photos' -o weights.pth" in told
    assert "VAL" not in told


def test_yaml_is_not_written_to_a_file_named_json(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"ends in \.yaml"):
        init(tmp_path, tmp_path / "one.json")
    assert not list(tmp_path.iterdir())
