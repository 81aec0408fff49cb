"""mitorch completion: the script by which a shell completes the commands."""

from __future__ import annotations

import click

from mitorch_service.cli.parameters.parameter_types import Word


@click.command(name="completion")
@click.argument("shell", metavar="SHELL", type=Word(("bash", "zsh", "fish")))
def command(shell: str) -> None:
    """Print the script by which SHELL completes commands, options, ids and names.

    \b
    bash: eval "$(mitorch completion bash)"              in ~/.bashrc
    zsh:  eval "$(mitorch completion zsh)"               in ~/.zshrc, after compinit
    fish: mitorch completion fish | source               in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    from mitorch_service.cli.main import PROGRAMS
    from mitorch_service.cli.parameters.shells import register

    register()
    shell_class = get_completion_class(shell)
    assert shell_class is not None
    for program in PROGRAMS:
        variable = f"_{program.upper()}_COMPLETE"
        click.echo(shell_class(click.Command(program), {}, program, variable).source())
