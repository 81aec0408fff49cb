"""Azurite, the blob storage that the tests use: installed once by `scripts/azurite`, started for each test process."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from azure.storage.blob import BlobServiceClient, ContainerClient, generate_container_sas

SCRIPT = Path(__file__).parent.parent / "scripts" / "azurite"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # Azurite's own
ENVIRONMENT = dict(os.environ)  # as it was before a test replaced HOME


class NoServer(Exception):
    """None can be had; the message says why."""


@dataclass(frozen=True)
class Azurite:
    """A running server."""

    host: str  # 127.0.0.1:PORT

    @property
    def connection_string(self) -> str:
        endpoint = f"http://{self.host}/{ACCOUNT}"
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"

    def new_container(self) -> ContainerClient:
        """A fresh, empty container, with the account's key."""
        service = BlobServiceClient.from_connection_string(self.connection_string)
        return service.create_container(f"c{uuid.uuid4().hex[:16]}")

    def url(self, container: str, path: str = "", host: str | None = None) -> str:
        """The plain URL of a container or of what is in it."""
        return f"http://{host or self.host}/{ACCOUNT}/{container}" + (f"/{path}" if path else "")

    def sas(self, container: str, permissions: str = "racwdl", end: datetime | None = None, **options: Any) -> str:
        """A SAS token for the container, valid for an hour if no end is given."""
        end = end or datetime.now(UTC) + timedelta(hours=1)
        return generate_container_sas(ACCOUNT, container, KEY, permission=permissions, expiry=end, **options)


@contextmanager
def azurite(folder: Path | None = None) -> Iterator[Azurite]:
    """A server of one's own on a free port; its blobs go with it. Raises NoServer."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="azurite-") as location:
        command = ["node", _main(), "--blobHost", "127.0.0.1", "--blobPort", "0", "--location", location]
        command += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
            try:
                yield Azurite(_host(server))
            finally:
                server.kill()


@contextmanager
def azurite_queue(folder: Path | None = None) -> Iterator[str]:
    """The connection string of a server of queues of one's own. Raises NoServer."""
    main = Path(_main()).parents[1] / "queue" / "main.js"
    with tempfile.TemporaryDirectory(dir=folder, prefix="azurite-") as location:
        command = ["node", str(main), "--queueHost", "127.0.0.1", "--queuePort", "0", "--location", location]
        command += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
            try:
                endpoint = f"http://{_host(server)}/{ACCOUNT}"
                known = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY}"
                yield f"{known};QueueEndpoint={endpoint};"
            finally:
                server.kill()


def _main() -> str:
    installed = subprocess.run([SCRIPT, "install"], capture_output=True, text=True, check=False, env=ENVIRONMENT)
    if installed.returncode != 0:
        reason = (installed.stderr.strip().splitlines() or ["scripts/azurite install failed"])[-1]
        raise NoServer(f"the Azurite half of the tests is skipped: {reason}")
    return installed.stdout.strip()


def _host(server: subprocess.Popen[str]) -> str:
    said = []
    assert server.stdout is not None
    for line in server.stdout:  # ends with the process
        said.append(line)
        if found := re.search(r"listens on http://(127\.0\.0\.1:[1-9]\d*)", line):
            return found[1]
    raise NoServer(f"Azurite does not start: {' '.join(said)}")
