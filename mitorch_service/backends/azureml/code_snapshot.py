"""Builds the code snapshot for nodes: our package as a wheel, pinned requirements, and the script that starts it.

Each content has one folder, so that it is uploaded once rather than for every training.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import tempfile
import time
import uuid
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import distribution
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from mitorch_service.file_access import PRIVATE, FileAccess

ENTRY = "node_entry.py"
_PACKAGE, _DISTRIBUTION = "mitorch_service", "mitorch-service"
_WHEEL = "Wheel-Version: 1.0\nGenerator: mitorch-service\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_PART = ".part-"
_PART_SECONDS = 3600.0  # to write a snapshot takes less than one
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the time of every file in the wheel, so that the same content gives the same bytes


def snapshot_folder(home: Path, access: FileAccess = PRIVATE) -> Path:
    """Writes the snapshot below ``<home>/snapshots``, unless it exists; returns its folder, named by a hash.

    Several processes may call this at the same time. Raises OSError.
    """
    wheel, name = _wheel()
    sources = files(_PACKAGE) / "backends" / "azureml"
    content = {
        name: wheel,
        ENTRY: (sources / ENTRY).read_bytes(),
        "requirements.txt": (sources / "node_requirements.txt").read_bytes(),
    }
    folder = home / "snapshots" / content_hash(content)
    if not folder.is_dir():
        _write(folder, content, access)
    return folder


def content_hash(content: Mapping[str, bytes]) -> str:
    """Returns a SHA-256 hash of file names and contents, as 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, data in sorted(content.items()):
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]


def _write(folder: Path, content: Mapping[str, bytes], access: FileAccess) -> None:
    """Writes the folder atomically, and removes what killed processes have left."""
    access.make_folder(folder.parent)
    for left in folder.parent.glob(f"{_PART}*"):
        with suppress(OSError):
            if left.stat().st_mtime < time.time() - _PART_SECONDS:
                shutil.rmtree(left)
    temporary = folder.parent / f"{_PART}{uuid.uuid4().hex}"
    access.make_folder(temporary)
    try:
        for name, data in content.items():
            with open(temporary / name, "wb", opener=access.opener) as file:
                file.write(data)
        temporary.rename(folder)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        if not folder.is_dir():  # else another process has written the same content
            raise


def _wheel() -> tuple[bytes, str]:
    """Builds a wheel from the installed package, editable or not; returns its bytes and file name."""
    ours = distribution(_DISTRIBUTION)
    info = f"{_PACKAGE}-{ours.version}.dist-info"
    members = dict(sorted(_sources(files(_PACKAGE), _PACKAGE)))
    members[f"{info}/METADATA"] = (ours.read_text("METADATA") or "").encode()
    members[f"{info}/entry_points.txt"] = (ours.read_text("entry_points.txt") or "").encode()
    members[f"{info}/WHEEL"] = _WHEEL.encode()
    lines = [f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in members.items()]
    members[f"{info}/RECORD"] = "".join([*lines, f"{info}/RECORD,,\n"]).encode()
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(_member(name), data)
        file.seek(0)
        return file.read(), f"{_PACKAGE}-{ours.version}-py3-none-any.whl"


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _EPOCH)
    member.compress_type, member.external_attr, member.create_system = zipfile.ZIP_DEFLATED, 0o644 << 16, 3
    return member


def _sources(folder: Traversable, path: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for child in folder.iterdir():
        name = f"{path}/{child.name}"
        if child.is_dir() and child.name != "__pycache__":
            found += _sources(child, name)
        elif child.is_file() and not child.name.endswith((".pyc", ".part")):
            found.append((name, child.read_bytes()))
    return found


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
