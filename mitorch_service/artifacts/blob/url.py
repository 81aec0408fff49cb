"""Parses URLs and connection strings of blob storage. Imports no SDK."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from mitorch_service.models.blob_storage.blob_names import blob_name_problem, can_be_asked_for

_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")


@dataclass(frozen=True)
class BlobUrl:
    """A container, or a blob or folder in it. Its text contains no credential."""

    account: str  # https://me.blob.core.windows.net; on an emulator followed by the account's name
    container: str
    name: str  # of the blob or folder, decoded; empty for the container itself
    sas: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.account}/{quote(self.container)}" + (f"/{quote(self.name)}" if self.name else "")

    @property
    def parts(self) -> tuple[str, ...]:
        """Host, container and path components, for a folder that mirrors the storage."""
        return (urlsplit(self.account).netloc, self.container, *self.name.split("/"))

    @classmethod
    def parse(cls, url: str) -> BlobUrl:
        """Parses a URL. Raises ValueError, without credentials, if it is not an address in blob storage."""
        split = urlsplit(url)
        local = _LOOPBACK.fullmatch(split.hostname or "") is not None
        if split.scheme != "https" and not (split.scheme == "http" and local):
            raise ValueError("must begin with https:// (http:// is for emulators on this machine)")
        if not split.hostname or split.username or split.password:
            raise ValueError("must name a host, without a user: https://ACCOUNT.blob.core.windows.net/CONTAINER/…")
        if split.fragment:
            raise ValueError("contains a #, which ends an address: write %23 for a # in a name")
        segments = [unquote(segment) for segment in split.path.strip("/").split("/")]
        if any(segment in ("", ".", "..") or "/" in segment for segment in segments):
            raise ValueError("must name a container, and no empty, '.' or '..' part: https://HOST/CONTAINER/PATH")
        if not all(map(can_be_asked_for, segments)):
            raise ValueError("has a control character, or no valid Unicode, in a name")
        account = f"{split.scheme}://{split.netloc}"
        if local:  # an emulator has all accounts on one host
            account += f"/{segments.pop(0)}"
        if not segments:
            raise ValueError("names no container: https://HOST/CONTAINER/…")
        if split.scheme == "http" and not split.query:
            raise ValueError("must have a SAS token, because identities are sent over https only")
        return cls(account, segments[0], "/".join(segments[1:]), split.query)


@dataclass(frozen=True)
class BlobRoot:
    """The container, or the folder in it, that MITORCH_STORAGE_URL names."""

    container: str
    prefix: str = ""  # of every blob's name; empty, or ends with /
    url: BlobUrl | None = None
    connection: str | None = field(default=None, repr=False)  # a connection string, instead of a URL

    @classmethod
    def parse(cls, storage_url: str) -> BlobRoot:
        """Parses ``https://HOST/CONTAINER[/PREFIX][?SAS]``, or a connection string with ``;Container=NAME`` (and
        ``;Prefix=PATH``) added. Raises ValueError, without credentials, if it is invalid."""
        if "://" in storage_url.partition("=")[0]:
            url = BlobUrl.parse(storage_url)
            return cls(url.container, f"{url.name}/" if url.name else "", url)
        items = [item.strip() for item in storage_url.split(";") if item.strip()]
        fields = {name.lower(): value for name, _, value in (item.partition("=") for item in items)}
        if not fields.get("container"):
            raise ValueError("the connection string names no container: add ;Container=NAME at its end")
        kept = [item for item in items if not item.lower().startswith(("container=", "prefix="))]
        prefix = fields.get("prefix", "").strip("/")
        if prefix and (why := blob_name_problem(prefix)) is not None:
            raise ValueError(f"its Prefix {why}")
        return cls(fields["container"], f"{prefix}/" if prefix else "", connection=";".join(kept))
