"""Blobs as files."""

from __future__ import annotations

import hashlib
import secrets
import threading
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Blob:
    """One blob; its bytes lie in a file. Blocks that are not committed belong to nobody yet."""

    path: Path
    committed: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    etag: str = '"0"'


class BlobStore:
    """All blobs of all accounts, by account/container/name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._blobs: dict[str, Blob] = {}
        self._lock = threading.Lock()

    def put(self, name: str, data: bytes) -> Blob:
        """Writes a blob as a whole."""
        blob = self._entry(name)
        blob.path.parent.mkdir(parents=True, exist_ok=True)
        blob.path.write_bytes(data)
        blob.committed, blob.etag = True, f'"{secrets.token_hex(8)}"'
        return blob

    def get(self, name: str) -> Blob | None:
        """The blob, where it was written."""
        blob = self._blobs.get(name)
        return blob if blob is not None and blob.committed else None

    def put_block(self, name: str, block: str, data: bytes) -> None:
        """Keeps one block until the list of blocks comes."""
        path = self._block(name, block)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def commit(self, name: str, blocks: list[str]) -> Blob:
        """Puts the blocks together."""
        return self.put(name, b"".join(self._block(name, block).read_bytes() for block in blocks))

    def names(self, prefix: str) -> list[str]:
        """The names of the blobs that begin so."""
        return sorted(name for name, blob in self._blobs.items() if blob.committed and name.startswith(prefix))

    def _entry(self, name: str) -> Blob:
        with self._lock:
            return self._blobs.setdefault(name, Blob(self._folder / _file_name(name)))

    def _block(self, name: str, block: str) -> Path:
        return self._folder / "blocks" / _file_name(f"{name}\n{block}")


def _file_name(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
