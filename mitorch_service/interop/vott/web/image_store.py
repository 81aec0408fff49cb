"""Keeps downloaded images: each content once, by its hash, and for each address the content that it had last.

An image that is there already is asked for with its ETag or date: the server then answers that it has not changed, and
its bytes are not sent again.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ValidationError

from mitorch_service.errors import ArtifactError
from mitorch_service.file_access import FileAccess
from mitorch_service.interop.vott.web.exchange import Answer, Refused, Unavailable, Web
from mitorch_service.interop.vott.web.web_address import WebAddress
from mitorch_service.training.data.image_list import ImageLocation
from mitorch_service.training.data.images.image_files import DEFAULT_LIMITS
from mitorch_service.training.data.images.upright_size import upright_size
from mitorch_service.training.data.zip_index import ZipFiles

_PART = ".part-"
_PART_SECONDS = 86400.0  # no download takes as long
_SIGNATURES = ("sig=", "X-Amz-Signature=", "Signature=")  # of queries that change although the image is the same


class KeptImage(BaseModel):
    """The image that an address had when it was read last."""

    digest: str  # SHA-256 of the content
    suffix: str
    size: int  # bytes
    width: int  # pixels, of the upright image
    height: int
    etag: str | None = None
    modified: str | None = None


@dataclass(frozen=True)
class StoredImage:
    """An image on this machine."""

    path: Path
    width: int  # pixels, of the upright image
    height: int
    size: int  # bytes


@dataclass(frozen=True)
class ImageLimits:
    """Limits on one image."""

    bytes: int
    seconds: float  # for its request


class ImageStore:
    """The images below a folder. Many threads may call at once, and several processes."""

    def __init__(self, folder: Path, web: Web, limits: ImageLimits, access: FileAccess) -> None:
        self._contents = folder / "contents"
        self._addresses = folder / "addresses"
        self._web = web
        self._limits = limits
        self._access = access

    def prepare(self) -> None:
        """Creates the folders, and removes what killed processes have left. Raises ArtifactError."""
        with self._told():
            self._access.make_folder(self._contents)
            self._access.make_folder(self._addresses)
            for part in self._contents.glob(f"{_PART}*"):
                if part.stat().st_mtime < time.time() - _PART_SECONDS:
                    part.unlink(missing_ok=True)

    def fetch(self, address: WebAddress) -> StoredImage:
        """Returns the image at the address, as it is there now. Raises Unavailable; Refused for what is no image, too;
        ArtifactError if this machine's disk cannot be written."""
        record = self._addresses / hashlib.sha256(_name(address).encode()).hexdigest()
        known = _read(record)
        if known is not None and not self._path(known).is_file():
            known = None
        with self._told(), self._partial() as (file, partial):
            digest = hashlib.sha256()

            def take(piece: bytes) -> None:
                digest.update(piece)
                file.write(piece)

            answer = self._web.get(
                address,
                take,
                seconds=self._limits.seconds,
                most_bytes=self._limits.bytes,
                headers={} if known is None else _conditions(known),
            )
            if answer.status == 304 and known is not None:
                return self._stored(known)
            if answer.status != 200:
                raise Unavailable(f"{address}: HTTP {answer.status}, without a content")
            size = file.tell()
            file.close()
            kept = _measured(address, partial, digest.hexdigest(), size, answer)
            self._keep(partial, kept)
            self._write(record, kept)
            return self._stored(kept)

    def _keep(self, partial: Path, kept: KeptImage) -> None:
        target = self._path(kept)
        self._access.make_folder(target.parent)
        if not target.is_file():
            partial.replace(target)

    def _path(self, kept: KeptImage) -> Path:
        return self._contents / kept.digest[:2] / f"{kept.digest}{kept.suffix}"

    def _stored(self, kept: KeptImage) -> StoredImage:
        return StoredImage(self._path(kept), kept.width, kept.height, kept.size)

    def _write(self, record: Path, kept: KeptImage) -> None:
        temporary = record.with_name(f"{_PART}{uuid.uuid4().hex}")
        with open(temporary, "w", encoding="utf-8", opener=self._access.opener) as file:
            file.write(kept.model_dump_json())
        temporary.replace(record)

    @contextmanager
    def _partial(self) -> Iterator[tuple[IO[bytes], Path]]:
        path = self._contents / f"{_PART}{uuid.uuid4().hex}"
        file = open(path, "xb", opener=self._access.opener)  # noqa: SIM115 - closed below, whatever happens
        try:
            yield file, path
        finally:
            file.close()
            path.unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            remedy = f"{error.strerror or error}. Make room there, or set MITORCH_HOME to another folder"
            raise ArtifactError("of an image", str(self._contents), remedy) from error


def _name(address: WebAddress) -> str:
    """The address by which the image is known: without a signature, which is another one each time."""
    signed = any(f"&{one}" in f"&{address.query}" for one in _SIGNATURES)
    return str(address) if signed else address.whole


def _conditions(known: KeptImage) -> dict[str, str]:
    if known.etag:
        return {"If-None-Match": known.etag}
    return {"If-Modified-Since": known.modified} if known.modified else {}


def _read(record: Path) -> KeptImage | None:
    try:
        return KeptImage.model_validate(json.loads(record.read_bytes()))
    except (OSError, ValueError, ValidationError):  # missing, or damaged: it is fetched anew
        return None


_SUFFIXES = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"RIFF": ".webp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}


def _measured(address: WebAddress, file: Path, digest: str, size: int, answer: Answer) -> KeptImage:
    """Raises Refused for what is no image."""
    with file.open("rb") as opened:
        head = opened.read(8)
    suffix = next((suffix for start, suffix in _SUFFIXES.items() if head.startswith(start)), ".img")
    found = upright_size(ImageLocation(file), ZipFiles())
    if found is None:
        raise Refused(f"{address}: is not an image that can be read ({size:,} bytes)")
    if found[0] * found[1] > DEFAULT_LIMITS.pixels:
        raise Refused(f"{address}: has {found[0]}x{found[1]} pixels, more than {DEFAULT_LIMITS.pixels:,}")
    return KeptImage(
        digest=digest,
        suffix=suffix,
        size=size,
        width=found[0],
        height=found[1],
        etag=answer.headers.get("etag"),
        modified=answer.headers.get("last-modified"),
    )
