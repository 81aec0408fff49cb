"""Archives of scripts' code, as a submission stores them."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.models.config.script import CodeRecord


def store_archive(artifacts: ArtifactStore, folder: Path, content: bytes) -> CodeRecord:
    """Puts an archive where a submission puts it; `folder` is for a file that is on its way."""
    file = folder / "packed"
    file.write_bytes(content)
    key = f"code/{hashlib.sha256(content).hexdigest()}.tar.gz"
    artifacts.put(key, file)
    return CodeRecord(archive=key, files=1, size=1, python="3.13.5")


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """An archive of these files."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return content.getvalue()
