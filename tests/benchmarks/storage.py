"""Putting and getting one large file in blob storage (Azurite on this machine), and the memory that it takes.

    python -m tests.benchmarks.storage [--megabytes 5120] [--floor] [--folder DIR]

Prints one JSON object a line. The floor is the SDK's own upload_blob and download_blob, four at a time, which check
and resume nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from azure.storage.blob import BlobServiceClient

from tests.azurite_server import Azurite, azurite
from tests.benchmarks.measuring import report

_MEASURED = """
import json, sys, time
from pathlib import Path
from mitorch_service.artifacts.blob.store import BlobArtifactStore
from azure.storage.blob import ContainerClient

def floor_put(key, source):
    with source.open("rb") as file:
        ContainerClient.from_container_url(sys.argv[1]).get_blob_client(key).upload_blob(
            file, overwrite=True, max_concurrency=4, length=source.stat().st_size)

def floor_get(key, target):
    blob = ContainerClient.from_container_url(sys.argv[1]).get_blob_client(key)
    with target.open("wb") as file:
        blob.download_blob(max_concurrency=4).readinto(file)

store = BlobArtifactStore(sys.argv[1])
call = {"put": store.put, "get": store.get, "floor_put": floor_put, "floor_get": floor_get}[sys.argv[2]]
begun = time.perf_counter()
call("large.bin", Path(sys.argv[3]))
seconds = time.perf_counter() - begun
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps([seconds, int(status["VmHWM"].split()[0]) / 1024]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--folder", type=Path, help="for the files, of which there are up to four at a time")
    parser.add_argument("--floor", action="store_true", help="measure the SDK's own calls, too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, azurite(Path(folder)) as server:
        source, back = Path(folder, "source"), Path(folder, "back")
        written = _write(source, given.megabytes)
        for call, path in (("put", source), ("get", back)):
            rate, peak = _measured(server, call, path, given.megabytes)
            floor = _measured(server, f"floor_{call}", path, given.megabytes) if given.floor else (None, None)
            report(f"blob {call}, {given.megabytes} MB", rate, "MB/s", floor[0])
            report(f"blob {call}, {given.megabytes} MB, peak memory", peak, "MB", floor[1])
            assert path is source or _digest(path) == written


def _measured(server: Azurite, call: str, path: Path, megabytes: int) -> tuple[float, float]:
    """MB per second, and the peak memory of the process in MB."""
    container = "floor" if call.startswith("floor") else "ours"
    if call.endswith("put"):
        BlobServiceClient.from_connection_string(server.connection_string).create_container(container)
    url = f"{server.url(container)}?{server.sas(container)}"
    done = subprocess.run([sys.executable, "-c", _MEASURED, url, call, str(path)], capture_output=True, check=True)
    seconds, peak = json.loads(done.stdout)
    return megabytes / seconds, peak


def _write(path: Path, megabytes: int) -> str:
    """A file of which no block is like another; returns its digest."""
    base = os.urandom(1 << 20)
    with path.open("wb") as file:
        for index in range(megabytes):
            file.write(index.to_bytes(8, "big") + base[8:])
    return _digest(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


if __name__ == "__main__":
    main()
