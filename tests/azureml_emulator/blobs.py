"""<account>.blob.core.windows.net: the blobs of the workspaces' own storage accounts."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode
from xml.sax.saxutils import escape

from tests.azureml_emulator import identity
from tests.azureml_emulator.blob_store import Blob, BlobStore
from tests.azureml_emulator.messages import Refusal, Request, Response
from tests.azureml_emulator.router import Call, Routes
from tests.azureml_emulator.state import Azure, Workspace

SUFFIX = ".blob.core.windows.net"
ROUTES = Routes("blob", public=True)  # a SAS token, or a bearer token, instead
ACCOUNT_KEY = "a2V5IG9mIHRoZSBhY2NvdW50"  # of every account
_SIGNATURE = secrets.token_urlsafe(24)
_DATE = "Thu, 01 Jan 2026 00:00:00 GMT"


def sas_url(workspace: Workspace, container: str, name: str) -> str:
    """An address that needs nothing else."""
    query = f"sv=2022-11-02&sr=b&sp=rcw&se=2099-01-01T00%3A00%3A00Z&sig={quote(_SIGNATURE)}"
    return f"https://{workspace.account}{SUFFIX}/{container}/{quote(name)}?{query}"


def container_url(workspace: Workspace, container: str) -> str:
    """The address of a container, good for everything in it."""
    return sas_url(workspace, container, "").replace(f"/{container}/?", f"/{container}?").replace("sr=b", "sr=c")


def key(workspace: Workspace, container: str, name: str) -> str:
    """The name of a blob in the store."""
    return f"{workspace.account}/{container}/{name}"


def name_of(url: str) -> str:
    """The name in the store of the blob at an address."""
    match = re.match(rf"https://([^./]+){re.escape(SUFFIX)}(?::443)?/([^?]+)", url)
    if match is None:
        raise Refusal(400, "UserError", f"{url.partition('?')[0]} is no blob of this emulator.")
    return f"{match[1]}/{unquote(match[2])}"


@ROUTES.add("blob.put", "PUT", "/{container}/{name*}")
def put(call: Call) -> Response:
    """A blob, a block, a list of blocks, or metadata."""
    store, name, what = _store(call), _name(call), call.request.query.get("comp")
    _check_md5(call.request)
    if what == "block":
        store.put_block(name, call.request.query["blockid"], call.request.body)
        return Response(201, b"", {"x-ms-request-server-encrypted": "true"})
    if what == "metadata":
        _blob(call).metadata = _metadata(call.request)
        return Response(200, b"", {"ETag": '"0"', "Last-Modified": _DATE})
    if what == "blocklist":
        blob = store.commit(name, re.findall(r"<(?:Latest|Uncommitted|Committed)>([^<]+)<", call.request.body.decode()))
    else:
        blob = store.put(name, call.request.body)
    blob.metadata = _metadata(call.request)
    return Response(201, b"", {"ETag": blob.etag, "Last-Modified": _DATE, "x-ms-request-server-encrypted": "true"})


@ROUTES.add("blob.head", "HEAD", "/{container}/{name*}")
@ROUTES.add("blob.get", "GET", "/{container}/{name*}")
def get(call: Call) -> Response:
    """A blob or a part of it; the files of a run are blobs too, as far as they are written."""
    data = _content(call)
    headers = {"Last-Modified": _DATE, "Accept-Ranges": "bytes", "x-ms-blob-type": "BlockBlob"}
    blob = _store(call).get(_name(call))
    if blob is not None:
        headers |= {"ETag": blob.etag} | {f"x-ms-meta-{name}": value for name, value in blob.metadata.items()}
    asked = call.request.headers.get("x-ms-range") or call.request.headers.get("range")
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked or "")
    if match is None or call.request.method == "HEAD":
        return Response(200, data, headers)
    start, end = int(match[1]), min(int(match[2] or len(data)), len(data) - 1)
    if start >= len(data):
        raise Refusal(416, "InvalidRange", "The range specified is invalid for the current size of the resource.")
    headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
    return Response(206, data[start : end + 1], headers)


@ROUTES.add("blob.list", "GET", "/{container}")
def listing(call: Call) -> Response:
    """The blobs of a container that begin with a prefix, on one page."""
    query = call.request.query
    if (query.get("restype"), query.get("comp")) != ("container", "list"):
        raise Refusal(400, "InvalidQueryParameterValue", "Only the list of a container is known here.")
    host, container = call.request.host, call.path["container"]
    store, root = _store(call), f"{host.partition('.')[0]}/{container}/"
    entries = "".join(
        f"<Blob><Name>{escape(name.removeprefix(root))}</Name>{_properties(store, name)}<Metadata/></Blob>"
        for name in store.names(root + query.get("prefix", ""))
    )
    head = f'<EnumerationResults ServiceEndpoint="https://{host}/" ContainerName="{container}">'
    body = f'<?xml version="1.0" encoding="utf-8"?>{head}<Blobs>{entries}</Blobs><NextMarker/></EnumerationResults>'
    return Response(200, body.encode(), {"Content-Type": "application/xml"})


def _properties(store: BlobStore, name: str) -> str:
    blob = store.get(name)
    assert blob is not None
    values = {"Last-Modified": _DATE, "Etag": blob.etag, "Content-Length": blob.path.stat().st_size}
    inner = "".join(f"<{key}>{value}</{key}>" for key, value in values.items())
    return f"<Properties>{inner}<BlobType>BlockBlob</BlobType></Properties>"


def run_path(azure: Azure, run_id: str, name: str) -> Path | None:
    """The file that a run has written under this name."""
    _, run = azure.find_run(run_id)
    folder = azure.run_folder(run)
    roots = [folder] if name.startswith(("user_logs/", "system_logs/")) else [folder / "nodes" / "0"]
    return next((root / name for root in roots if (root / name).is_file()), None)


def _content(call: Call) -> bytes:
    blob = _store(call).get(_name(call))
    if blob is not None:
        return blob.path.read_bytes()
    match = re.fullmatch(r"ExperimentRun/dcid\.([^/]+)/(.+)", call.path["name"])
    try:
        path = run_path(call.azure, match[1], match[2]) if match else None
    except KeyError:
        path = None
    if path is None:
        raise Refusal(404, "BlobNotFound", "The specified blob does not exist.")
    return path.read_bytes()


def _blob(call: Call) -> Blob:
    blob = _store(call).get(_name(call))
    if blob is None:
        raise Refusal(404, "BlobNotFound", "The specified blob does not exist.")
    return blob


def _store(call: Call) -> BlobStore:
    signed = call.request.query.get("sig") == _SIGNATURE or _signed_with_key(call) or _carries_key(call)
    if not signed and not identity.known(call.azure, call.request):
        raise Refusal(403, "AuthenticationFailed", "Server failed to authenticate the request.")
    return call.azure.blobs


def _signed_with_key(call: Call) -> bool:
    """Whether the token is one for this container that whoever has the account's key has signed."""
    from azure.storage.blob import generate_container_sas

    query, account = call.request.query, call.request.host.partition(".")[0]
    if query.get("sr") != "c" or "sig" not in query:
        return False
    expected = generate_container_sas(
        account, call.path["container"], ACCOUNT_KEY, permission=query.get("sp"), expiry=query.get("se")
    )
    return parse_qs(expected)["sig"] == [query["sig"]]


def _carries_key(call: Call) -> bool:
    """Whether the request itself is signed with the account's key, as the second SDK's uploads are."""
    from azure.core.pipeline.transport import HttpRequest
    from azure.storage.blob._shared.authentication import SharedKeyCredentialPolicy

    request, headers = call.request, dict(call.request.headers)
    account, given = request.host.partition(".")[0], headers.pop("authorization", "")
    if not given.startswith(f"SharedKey {account}:"):
        return False
    query = f"?{urlencode(request.query)}" if request.query else ""
    again = HttpRequest(request.method, f"https://{request.host}{request.path}{query}", headers)
    signing: Any = SharedKeyCredentialPolicy
    signing(account, ACCOUNT_KEY).on_request(
        SimpleNamespace(http_request=again, context=SimpleNamespace(transport=None))
    )
    return again.headers["Authorization"] == given


def _name(call: Call) -> str:
    return f"{call.request.host.partition('.')[0]}/{call.path['container']}/{call.path['name']}"


def _metadata(request: Request) -> dict[str, str]:
    prefix = "x-ms-meta-"
    return {name.removeprefix(prefix): value for name, value in request.headers.items() if name.startswith(prefix)}


def _check_md5(request: Request) -> None:
    wanted = request.headers.get("content-md5")
    if wanted and wanted != base64.b64encode(hashlib.md5(request.body).digest()).decode():
        raise Refusal(400, "Md5Mismatch", "The MD5 value specified in the request did not match.")
