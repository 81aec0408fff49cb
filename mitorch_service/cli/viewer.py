"""miviewer: the web viewer and its API."""

from __future__ import annotations

import re
import socket
from functools import partial
from typing import TYPE_CHECKING

import click

from mitorch_service.cli.parameters.parameter_types import WholeNumber

if TYPE_CHECKING:
    from mitorch_service.settings import Settings
    from mitorch_service.viewer.context import Context

FIRST_PORT = 8474
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ANY = ("0.0.0.0", "::")  # noqa: S104 (compared with, for a warning)
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_UNENCRYPTED = (
    "Others on the network can read what passes, and so the token: let a proxy with TLS stand before it, or use an ssh "
    "tunnel (docs/viewer.md)."
)


@click.command(name="miviewer")
@click.option("--port", type=WholeNumber(1, 65535), help=f"Port. [default: the first free one from {FIRST_PORT} on]")
@click.option("--address", default="127.0.0.1", show_default=True, help="Address to listen on, such as 0.0.0.0.")
@click.option(
    "--host-name", "host_names", multiple=True, metavar="NAME", help="A name by which browsers reach it; repeatable."
)
@click.option("--read-only", is_flag=True, help="Show everything, change nothing.")
@click.option("--no-token", is_flag=True, help="Let in every user of this machine, without the link.")
@click.option("--new-token", is_flag=True, help="Make a new token: old links and signed-in browsers are shut out.")
@click.option("--link", is_flag=True, help="Print the link of a server that runs on --port, and end.")
def command(
    port: int | None,
    address: str,
    host_names: tuple[str, ...],
    read_only: bool,
    no_token: bool,
    new_token: bool,
    link: bool,
) -> None:
    """Serve the web pages of the queue, trainings, searches and data sets, and the API below /api. Open the link that
    it prints: it holds the token that lets a browser in. Ctrl-C ends it; nothing else depends on it."""
    _refuse_contradictions(address, no_token, new_token, host_names)
    from mitorch_service.errors import MissingExtra
    from mitorch_service.settings import read_settings

    settings = read_settings()
    try:
        from mitorch_service.viewer.access.gate import LOOPBACK_HOSTS, Policy
        from mitorch_service.viewer.access.token import read_token
        from mitorch_service.viewer.app import create_app
        from mitorch_service.viewer.serve import listen, serve
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("mitorch_service"):
            raise
        raise MissingExtra(error.name or "fastapi", "viewer") from error
    token = None if no_token else read_token(settings.home, settings.file_access, settings.viewer_token, new_token)
    if link:
        click.echo(_link(f"http://{_reached(address)}:{port or FIRST_PORT}", token))
        return
    hosts = [*LOOPBACK_HOSTS, *(name.lower() for name in host_names)]
    if address not in _LOOPBACK:
        hosts.append("*" if address in _ANY else _reached(address).lower())
    listening = listen(address, port, FIRST_PORT)
    app = create_app(_context(settings, read_only), Policy(token, read_only, tuple(hosts)))
    click.echo(f"Open {_link(f'http://{_reached(address)}:{listening.port}', token)}\nCtrl-C ends it.")
    if address not in _LOOPBACK:
        click.echo(_UNENCRYPTED, err=True)
    if settings.sqlite_path is not None and not settings.sqlite_path.exists():
        click.echo(f"There is no database at {settings.sqlite_path} yet: the first submission creates it.", err=True)
    serve(app, listening)


def _refuse_contradictions(address: str, no_token: bool, new_token: bool, host_names: tuple[str, ...]) -> None:
    for name in host_names:
        if not _HOST_NAME.fullmatch(name):
            raise click.UsageError(f"--host-name {name!r} is no name of a host: write mitorch.example.org, no port.")
    if no_token and address not in _LOOPBACK:
        raise click.UsageError(f"--no-token goes with an address of this machine only, not with {address}.")
    if no_token and new_token:
        raise click.UsageError("Give --no-token or --new-token, not both.")


def _reached(address: str) -> str:
    """The host of a URL by which it is reached."""
    if address in _ANY:
        return socket.gethostname()
    return f"[{address}]" if ":" in address else address


def _link(url: str, token: str | None) -> str:
    return f"{url}/" if token is None else f"{url}/?token={token}"


def _context(settings: Settings, read_only: bool) -> Context:
    from mitorch_service.viewer.context import Context
    from mitorch_service.wiring import open_artifacts, open_backends, open_store

    return Context(
        settings,
        partial(open_store, settings, create=True),
        partial(open_artifacts, settings),
        partial(open_backends, settings),
        read_only,
        file=settings.sqlite_path,
    )
