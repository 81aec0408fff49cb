"""Uploading one file, in blocks of which only those are sent that the storage does not have yet."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobClient, ContentSettings

from mitorch_service.artifacts.blob.storage_errors import error_code

BLOCK = 8 << 20  # bytes; blocks are larger in a file that would have more than MOST_BLOCKS
MOST_BLOCKS = 50_000  # the storage's limit
PARALLEL = 4  # blocks at a time, about 60 MB of memory
_TRIES = 3  # if another writer of the same blob commits first


def upload(blob: BlobClient, source: Path) -> None:
    """Uploads the file with its MD5 and replaces the blob in one step at the end; each block is checked by its own MD5.

    After an interruption, blocks that have arrived are not sent again, as their ids contain position and content hash.
    Raises AzureError, and OSError if the file cannot be read.
    """
    for tries in range(_TRIES):
        try:
            with source.open("rb") as file:
                _upload(blob, file)
            return
        except HttpResponseError as error:
            if error_code(error) != "InvalidBlockList" or tries == _TRIES - 1:
                raise  # else another writer's commit has discarded our blocks


def _upload(blob: BlobClient, file: BinaryIO) -> None:
    size = -(-os.fstat(file.fileno()).st_size // MOST_BLOCKS)
    size = max(BLOCK, -(-size // (1 << 20)) << 20)  # whole MiB, so that the blocks stay the same if the file grows
    first = file.read(size)
    if len(first) == size:
        _upload_blocks(blob, _blocks(first, file))
        return
    settings = ContentSettings(content_md5=bytearray(_md5(first).digest()))
    blob.upload_blob(first, overwrite=True, content_settings=settings, validate_content=True)


def _blocks(first: bytes, file: BinaryIO) -> Iterator[bytes]:
    block = first
    while block:
        yield block
        block = file.read(len(first))


def _upload_blocks(blob: BlobClient, blocks: Iterator[bytes]) -> None:
    there, whole, ids = _blocks_there(blob), _md5(b""), []
    sending: deque[Future[Any]] = deque()
    pool = ThreadPoolExecutor(PARALLEL, "upload")
    try:
        for place, block in enumerate(blocks):
            whole.update(block)
            ids.append(f"{place:05d}-{_md5(block).hexdigest()}")
            if there.get(ids[-1]) == len(block):
                continue
            if len(sending) == PARALLEL:
                sending.popleft().result()
            sending.append(pool.submit(blob.stage_block, ids[-1], block, validate_content=True))
        for sent in sending:
            sent.result()
    finally:
        pool.shutdown(cancel_futures=True)
    settings = ContentSettings(content_md5=bytearray(whole.digest()))
    blob.commit_block_list([BlobBlock(block_id=id) for id in ids], content_settings=settings)


def _blocks_there(blob: BlobClient) -> dict[str, int]:
    """Returns id and size of the blocks that need not be sent: of an interrupted upload, or of the current blob."""
    try:
        committed, staged = blob.get_block_list("all")
    except ResourceNotFoundError as error:
        if error_code(error) != "BlobNotFound":
            raise
        return {}
    return {block.id: block.size for block in [*committed, *staged]}


def _md5(data: bytes) -> Any:
    return hashlib.md5(data, usedforsecurity=False)
