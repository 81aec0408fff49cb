"""The check refuses docstrings that begin with a fragment, wherever they stand, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.check_docstrings import fragments, main

SOURCE = '''"""{module}"""


class Queue:
    """{cls}"""

    async def claim(self):
        """{function}"""
        note = "What a string says is not checked."
'''
GOOD = {"module": "The queue.", "cls": "Holds trainings.", "function": "Claims one."}


@pytest.mark.parametrize(("place", "line"), [("module", 1), ("cls", 5), ("function", 8)])
@pytest.mark.parametrize("word", ["What", "Of", "Those", "Which", "Where", "Until", "By", "Whose"])
def test_a_fragment_is_found_with_its_line(place: str, line: int, word: str) -> None:
    source = SOURCE.format(**{**GOOD, place: f"{word} is there."})
    assert list(fragments(source)) == [(line, f"{word} is there.")]


@pytest.mark.parametrize("text", ["Offers a slot.", "Bytes sent so far.", "Whatever comes.", "Says what is there."])
def test_words_that_only_look_alike_pass(text: str) -> None:
    assert list(fragments(SOURCE.format(**{**GOOD, "function": text}))) == []


def test_the_first_line_is_enough() -> None:
    source = 'def one():\n    """\n    Of a docstring that starts on its second line.\n\n    More.\n    """\n'
    assert list(fragments(source)) == [(2, "Of a docstring that starts on its second line.")]


def test_the_command_lists_files_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.py").write_text(SOURCE.format(**GOOD))
    assert main([str(tmp_path)]) == 0
    bad = tmp_path / "bad.py"
    bad.write_text(SOURCE.format(**{**GOOD, "cls": "Those that wait."}))
    assert main([str(tmp_path)]) == 1
    assert f"{bad}:5: the docstring begins with a fragment: Those that wait." in capsys.readouterr().out
