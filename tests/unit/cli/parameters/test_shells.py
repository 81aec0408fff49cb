"""Values that shells break into words, or that need a quote."""

from __future__ import annotations

import shutil
import subprocess

import click
import pytest
from click.shell_completion import CompletionItem

from mitorch_service.cli.parameters.shells import BashComplete, FishComplete, ZshComplete, last_word

VALUES = ("ants:12", "my shapes:1", "it's $HOME*", "name,status")


def offered(context: click.Context, parameter: click.Parameter, text: str) -> list[CompletionItem[str]]:
    return [CompletionItem(value, help="a set") for value in VALUES if value.startswith(text)]


@click.command()
@click.argument("value", shell_complete=offered)
@click.option("--data", shell_complete=offered)
def command(value: str, data: str) -> None:
    pass


@pytest.mark.parametrize(
    ("typed", "rest"),
    [
        ("an", "ants:12"),
        ("ants:", "12"),
        ("--data=an", "ants:12"),
        ("--data=ants:1", "12"),
        ("--data my", r"my\ shapes:1"),
        (r"my\ sh", r"my\ shapes:1"),
        (r"my\ shapes:", "1"),
        ("'my", "my shapes:1"),
        ('"my shapes:', "my shapes:1"),  # no word ends within quotes
        ("it", r"it\'s\ \$HOME\*"),
        ("name,", "name,status"),
    ],
)
def test_bash_is_given_the_rest_of_its_word(monkeypatch: pytest.MonkeyPatch, typed: str, rest: str) -> None:
    monkeypatch.setenv("COMP_WORDS", f"program {typed}")
    monkeypatch.setenv("COMP_WORDBREAKS", " \t\n\"'><=;|&(:")
    assert BashComplete(command, {}, "program", "X").complete() == f"plain,{rest}"


def test_bash_may_break_no_words_at_colons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_WORDS", "program ants:")
    monkeypatch.setenv("COMP_WORDBREAKS", " \t\n")
    assert BashComplete(command, {}, "program", "X").complete() == "plain,ants:12"


@pytest.mark.parametrize("typed", ["ants", "--data=ants"])
def test_others_are_given_the_whole_word(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setenv("COMP_WORDS", f"program {typed}")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert ZshComplete(command, {}, "program", "X").complete() == f"plain\n{typed}\\:12\na set"
    monkeypatch.setenv("COMP_CWORD", typed)
    assert FishComplete(command, {}, "program", "X").complete() == f"plain,{typed}:12\ta set"


def test_words_end_at_blanks_that_are_not_quoted() -> None:
    assert last_word("a b\\ c") == ("b\\ c", "")
    assert last_word("a 'b c") == ("'b c", "'")
    assert last_word('a "b\\" c') == ('"b\\" c', '"')
    assert last_word("a 'b' ") == ("", "")


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_keeps_commas() -> None:
    script = FishComplete(command, {}, "program", "X").source()
    say = r"function env; printf 'plain,name,status\ta set\n'; end"
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"{say}\n{script}\ncomplete -C 'program na'"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "name,status\ta set\n"
