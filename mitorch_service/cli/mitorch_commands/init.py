"""mitorch init: writes a first config for a data set."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from mitorch_service.cli.parameters.parameter_types import FilePath


@click.command(name="init")
@click.argument("data", type=FilePath(path_type=Path))
@click.option(
    "-o",
    "--output",
    default="training.yaml",
    show_default=True,
    type=FilePath(dir_okay=False, allow_dash=True, path_type=Path),
    help="The config to write (- for standard output). One that exists is not replaced.",
)
def command(data: Path, output: Path) -> None:
    """Look at the data set DATA (a folder per class, or any other format) and write a commented config for it: task,
    input size, a sensible model and schedule.

    Train it with: mitrain training.yaml DATA [VAL] -o weights.pth. Without VAL, a part of a set with one class for each
    image is held out.
    """
    from mitorch_service.errors import InvalidInput, Problem
    from mitorch_service.operations.first_config import first_config
    from mitorch_service.training.data.splits import read_split
    from mitorch_service.training.data.survey import survey

    if output.suffix.lower() == ".json":
        raise InvalidInput(str(output), [Problem("", "the config is YAML: give a path that ends in .yaml with -o")])
    found = survey(read_split(data))
    text = first_config(found, str(data))
    if str(output) == "-":
        click.echo(text, nl=False)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        problem = "exists already: remove it, or give another path with -o"
        raise InvalidInput(str(output), [Problem("", problem)]) from None
    except OSError as error:
        raise InvalidInput(str(output), [Problem("", f"cannot be written: {error.strerror}")]) from error
    sets = [str(data)] if found.kind == "multiclass" else [str(data), "VAL"]
    click.echo(f"config   {output}\ntrain    {shlex.join(['mitrain', str(output), *sets, '-o', 'weights.pth'])}")
    if len(sets) > 1:
        click.echo("VAL      the validation images of your data set, in any format")
