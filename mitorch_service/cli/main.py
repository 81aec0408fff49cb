"""Entry points of the commands: each loads only its own module, and every error ends as a message and an exit code."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

import click

from mitorch_service.cli.suggesting_group import SuggestingGroup
from mitorch_service.errors import MiTorchError

COMMANDS = {
    "submit": "Queue a training or a search job.",
    "query": "Show a training, a job, or the queue.",
    "dataset": "Register, list and remove data sets.",
    "control": "Assign, watch, cancel, retry.",
    "train": "Train here and now, without the service.",
    "test": "Evaluate weights on a data set.",
    "predict": "Predict what images show.",
    "export": "Write a trained network as ONNX or TorchScript.",
    "run": "Run one queued training (started by a backend).",
    "doctor": "Check settings, database, storage and clusters.",
    "viewer": "Serve the web pages and the API.",
    "init": "Write a config for a data set.",
    "consume": "Take trainings from a queue of VoTT-train.",
    "import": "Take over finished runs of TensorBoard, MLflow, W&B, Trackio or Neptune.",
    "schema": "Print the JSON Schema of configs, for editors.",
    "completion": "Print the script by which bash, zsh or fish completes commands and ids.",
}
_MODULES = {  # where a command's name is none of a module of this room
    "export": "mitorch_commands.export",
    "doctor": "mitorch_commands.doctor",
    "init": "mitorch_commands.init",
    "consume": "mitorch_commands.consume",
    "import": "mitorch_commands.import_runs",
    "schema": "mitorch_commands.schema",
    "completion": "mitorch_commands.completion",
}
PROGRAMS = (
    "mitorch",
    "misubmit",
    "miquery",
    "midataset",
    "micontrol",
    "mitrain",
    "mitest",
    "mipredict",
    "miviewer",
)  # that people call


_DISK_REMEDY = "Make room on that disk, make it writable, or name another folder in TMPDIR or MITORCH_HOME."
_WITH_BARS = ("train", "test", "predict", "export")


class LazyGroup(SuggestingGroup):
    """The command `mitorch`: names and one-line helps are here, modules are imported when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def load(name: str) -> click.Command:
    """The command of this name, with --debug added to it and to its sub-commands, and --version to it."""
    command: click.Command = importlib.import_module(f"mitorch_service.cli.{_MODULES.get(name, name)}").command
    _add_debug(command)
    _add_version(command)
    return command


def whole_names() -> dict[str, str]:
    """All commands and sub-commands, and how each is called: ``cancel`` by ``mitorch control cancel``."""
    names = {name: f"mitorch {name}" for name in COMMANDS}
    for name in ("control", "dataset"):
        command = load(name)
        if isinstance(command, click.Group):
            names |= {below: f"mitorch {name} {below}" for below in command.commands if below not in names}
    return names


def run(command: click.Command, program: str) -> None:
    """Runs the command with the arguments of this process, and ends it."""
    _end(call(command, program, sys.argv[1:]))


def call(command: click.Command, program: str, arguments: Sequence[str]) -> int:
    """Runs the command; returns the exit code: 0 done, 1 it failed, 2 wrong usage or an invalid file, 130 Ctrl-C."""
    code = 0
    try:
        _refuse_bytes(arguments)
        if any(name.endswith("_COMPLETE") for name in os.environ):
            importlib.import_module("mitorch_service.cli.parameters.shells").register()
        result = command.main(
            list(arguments), prog_name=program, standalone_mode=False, help_option_names=["-h", "--help"]
        )
        code = result if isinstance(result, int) else 0
        sys.stdout.flush()
    except click.exceptions.Exit as exit_:
        code = exit_.exit_code
    except SystemExit as exit_:  # what a shell asks for when it completes a line ends so
        code = int(exit_.code or 0)
    except click.ClickException as error:
        _say(_usage_text(error))
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        code = 130
    except BrokenPipeError:  # `miquery | head`: the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except MiTorchError as error:
        _show(error)
        code = error.exit_code
    except Exception as error:  # noqa: BLE001 - the last place to report anything without a traceback
        _show(error)
        bug = "This is a bug of mitorch-service: please report it with the output of --debug."
        _say(_DISK_REMEDY if _is_of_a_disk(error) else bug)
        code = 1
    return code


def _refuse_bytes(arguments: Sequence[str]) -> None:
    """Raises UsageError for an argument that is no text: no document, message or file of ours can hold it."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = ascii(os.fsencode(argument))[1:]
            raise click.UsageError(f"{shown} is not UTF-8 text. Rename the file, or write it in UTF-8.") from None


def _is_of_a_disk(error: Exception) -> bool:
    """Whether a disk is full or read-only, or no temporary folder can be written."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    return full or "No usable temporary directory" in str(error)


def _guard_terminal(name: str) -> None:
    """Keeps what others have written (names, errors, logs) from controlling the terminal. What a backend starts prints
    into a log, in which a script's output stays as it is."""
    if name != "run":
        from mitorch_service.cli.views.pages.escapes import escape_output

        escape_output(name in _WITH_BARS)


def _end(code: int) -> NoReturn:
    """Ends the process; without cleaning up if PyTorch is loaded, whose orderly shutdown takes more than a second, or
    pymongo, whose threads sleep half a second at a time before they end."""
    if not {"torch", "pymongo"} & sys.modules.keys():
        sys.exit(code)
    import logging  # which takes 5 ms: not for the commands that end above

    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a full disk under the log: nothing depends on it
            stream.flush()
    os._exit(code)


def _add_debug(command: click.Command) -> None:
    if isinstance(command, click.Group):
        for child in command.commands.values():
            _add_debug(child)
    if not any(parameter.name == "debug" for parameter in command.params):
        option = click.Option(["--debug"], is_flag=True, expose_value=False, help="Show tracebacks of errors.")
        command.params.append(option)


def _add_version(command: click.Command) -> None:
    if any(parameter.name == "version" for parameter in command.params):
        return
    show = click.version_option(package_name="mitorch-service", message="%(package)s %(version)s")
    show(command)


def _show(error: BaseException) -> None:
    """Prints the error with its causes; with --debug the traceback too. Credentials are masked in both."""
    from mitorch_service.wording.control_characters import hanging, several_lines

    if "--debug" in sys.argv:
        _say("".join(traceback.format_exception(error)), wrap=False)
    prefix = "Error: "
    shown = ""
    current: BaseException | None = error
    while current is not None:
        text = str(current) or type(current).__name__
        if not isinstance(current, MiTorchError):
            text = f"{type(current).__name__}: {text}"
        message = getattr(current, "strerror", None) or str(current)
        if message[:60] not in shown:  # our messages often contain the driver's, or its beginning
            _say(hanging(several_lines(prefix + text)))
        shown += text
        prefix = "  because: "
        current = current.__cause__


def _say(text: str, *, wrap: bool = True) -> None:
    """Prints a message for people: credentials masked, control characters shown, on a terminal wrapped at words."""
    from mitorch_service.cli.views.pages.escapes import several_lines
    from mitorch_service.cli.views.pages.wrapping import wrapped_for
    from mitorch_service.models.secrets import mask_secrets

    shown = several_lines(mask_secrets(text))
    click.echo(wrapped_for(shown, sys.stderr) if wrap else shown, err=True)


def _usage_text(error: click.ClickException) -> str:
    shown = io.StringIO()
    error.show(file=shown)
    return shown.getvalue().rstrip("\n")


def _entry(name: str) -> Callable[[], None]:
    def entry() -> None:
        _guard_terminal(name)
        run(load(name), f"mi{name}")

    return entry


misubmit, miquery, midataset, micontrol = map(_entry, ("submit", "query", "dataset", "control"))


def traind() -> None:
    """Runs ``mitorch consume``, by the name that VoTT-train gives to its daemon."""
    _guard_terminal("consume")
    run(load("consume"), "traind")


mitrain, mitest, mipredict, mirun, miviewer = map(_entry, ("train", "test", "predict", "run", "viewer"))


def mitorch() -> None:
    """Runs ``mitorch``: ``mitorch submit`` is ``misubmit``, and so on."""
    _guard_terminal("".join(sys.argv[1:2]))
    group = LazyGroup("mitorch", help="A training job scheduler for PyTorch with no server of its own.")
    _add_version(group)
    run(group, "mitorch")


if __name__ == "__main__":
    mitorch()
