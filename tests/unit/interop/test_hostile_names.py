"""Names in messages, tasks and settings of other systems that would lead to files elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitorch_service.errors import InvalidInput
from mitorch_service.interop.cvat.new_tasks import file_name
from mitorch_service.interop.vott.plugins import PROGRAM, Plugins
from mitorch_service.operations.datasets.dataset_registration import checked_name
from tests.hostile_names import HOSTILE_NAMES

FILES = {"NUL", "CON.txt", "COM1", "x."}  # names like others on the machines that run this


def test_no_message_names_a_program_outside_the_folders_of_plugins(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "x", tmp_path / "plugins"):
        folder.mkdir(exist_ok=True)
        (folder / PROGRAM).write_text("")
    for name in (*HOSTILE_NAMES, str(tmp_path / "x")):
        with pytest.raises(InvalidInput, match="is not known"):
            Plugins([tmp_path / "plugins"]).find(name)


def test_a_data_set_is_named_by_no_path() -> None:
    """Hostile names, here; CVAT's and obdb's are tested in folders of those names."""
    for name in HOSTILE_NAMES:
        if name in FILES:
            assert checked_name("--as", name) == name
        else:
            with pytest.raises(InvalidInput, match="--as"):
                checked_name("--as", name)


def test_an_images_file_for_cvat_is_in_one_folder() -> None:
    for name in HOSTILE_NAMES:
        for path in (f"{name}.png", f"a.zip@{name}.png"):
            assert "/" not in file_name(path)
