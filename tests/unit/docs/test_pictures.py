"""The README's pictures of the viewer: they are there, small, and in both themes."""

from __future__ import annotations

import struct
import subprocess

import pytest

from scripts.page_pictures import THEMES
from tests.documents import README, ROOT

_MOST_BYTES = 250_000
PICTURES = ROOT / "docs" / "pictures"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["search", "training"])
def test_a_picture_of_a_page(name: str, theme: str) -> None:
    path = PICTURES / f"{name}-{theme}.png"
    content = path.read_bytes()
    width, height = struct.unpack(">II", content[16:24])
    assert content.startswith(b"\x89PNG") and len(content) < _MOST_BYTES
    assert width >= 1280 and height >= 600
    assert f"docs/pictures/{path.name}" in README.read_text("utf-8")


def test_the_script_that_takes_them_can_be_read() -> None:
    script = ROOT / "scripts" / "screenshots"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", script], check=True)
