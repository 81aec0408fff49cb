"""Values of options that begin with a minus."""

from __future__ import annotations

import click
import pytest
from click.shell_completion import CompletionItem

from mitorch_service.cli.parameters.shells import BashComplete, FishComplete, ZshComplete

FIELDS = ("created", "-created", "name", "-name")


def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(field) for field in FIELDS if field.startswith(incomplete)]


@click.group()
def program() -> None: ...


@program.command()
@click.option("--sort", "-s", shell_complete=complete)
@click.option("--all", is_flag=True)
@click.argument("field", shell_complete=complete)
def query() -> None: ...


@pytest.mark.parametrize("shell", [BashComplete, ZshComplete, FishComplete])
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("--sort -cr", ["-created"]),
        ("-s -", ["-created", "-name"]),
        ("--sort=-n", ["-name"]),
        ("--sort n", ["name"]),
        ("--sort -created --al", ["--all"]),
        ("--sort --al", ["--all"]),
        ("--all -s", ["-s"]),
        ("--all --so", ["--sort"]),
        ("-- -n", ["-name"]),
    ],
)
def test_they_are_completed_as_values(shell: type[BashComplete], line: str, offered: list[str]) -> None:
    *before, last = line.split(" ")
    found = shell(program, {}, "program", "_PROGRAM").get_completions(["query", *before], last)
    values = [item.value for item in found]
    assert [value.removeprefix("--sort=") for value in values] == offered
