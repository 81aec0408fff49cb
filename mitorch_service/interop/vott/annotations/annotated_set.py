"""Makes a data set of an annotation file: downloads it and its images, and writes them as CSV files of this machine, in
a folder that its content names."""

from __future__ import annotations

import shutil
import time
import uuid
from array import array
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitorch_service.annotations.text_lines import class_list_text
from mitorch_service.annotations.writers.csv_rows import CsvRows
from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.file_access import FileAccess
from mitorch_service.interop.content_folder import content_digest, place
from mitorch_service.interop.vott.annotations.box_format import FormatEvidence, as_corners
from mitorch_service.interop.vott.annotations.disk_trouble import disk_trouble_of
from mitorch_service.interop.vott.annotations.holding_out import LEAST_IMAGES, held_out
from mitorch_service.interop.vott.annotations.rows import BoxFormat, Layout, read_layout, read_rows
from mitorch_service.interop.vott.web.exchange import Refused, Unavailable, Web
from mitorch_service.interop.vott.web.image_store import ImageStore, StoredImage
from mitorch_service.interop.vott.web.web_address import WebAddress, web_address
from mitorch_service.wording.counted import counted

_PARALLEL = 8  # downloads at a time
_SHOWN = 3  # images that a message names
_TRIES = 3  # for an image whose server does not answer
_PART_SECONDS = 7 * 86400.0  # no message takes as long
_HEADER = ("image", "x1", "y1", "x2", "y2", "class")


@dataclass(frozen=True)
class SetLimits:
    """Limits on what one message may make this machine download."""

    file_bytes: int  # of the annotation file
    images: int
    total_bytes: int  # of all images
    seconds: float  # for the annotation file


@dataclass(frozen=True)
class AnnotatedSet:
    """The files of a data set on this machine, and remarks for people."""

    splits: Mapping[str, Path]  # train and val
    labels: Path
    digest: str  # names its content
    remarks: tuple[str, ...]


class AnnotatedSets:
    """Makes data sets below a folder."""

    def __init__(self, web: Web, images: ImageStore, folder: Path, limits: SetLimits, access: FileAccess) -> None:
        self._web = web
        self._images = images
        self._folder = folder
        self._limits = limits
        self._access = access

    def check(self, address: WebAddress) -> None:
        """Raises Refused for an address that is never connected to, Unavailable for a host that is not found now."""
        self._web.check(address, https=True)

    def make(
        self, address: WebAddress, box_format: BoxFormat | None, stopped: Callable[[], bool] = lambda: False
    ) -> AnnotatedSet:
        """Returns the data set of the annotation file at the address. The same content gives the same files, which are
        never changed.

        Raises InvalidInput or Refused for what can never work, Unavailable for what may work later or once `stopped`
        says so, ArtifactError where this machine's disk cannot be written.
        """
        started = self._folder / f".{uuid.uuid4().hex}.part"
        with disk_trouble_of(self._folder):
            try:
                self._access.make_folder(started)
                self._remove_dead_parts()
                file = started / "annotations"
                self._download(address, file)
                made = _Making(str(address), file, box_format)
                if len(made.addresses) < LEAST_IMAGES:
                    problem = "names 1 image: too few to train on, and to hold one out for validation. Name 2 or more"
                    raise InvalidInput(str(address), [Problem("", problem)])
                images = self._fetch(str(address), made.addresses, stopped)
                splits = started / "splits"
                self._access.make_folder(splits)
                remarks = made.write(splits, images)
                digest = content_digest(splits)
                target = self._folder / digest
                place(splits, target)
            finally:
                shutil.rmtree(started, ignore_errors=True)
        paths = {name: target / f"{name}.csv" for name in ("train", "val")}
        return AnnotatedSet(paths, target / "labels.txt", digest, remarks)

    def _remove_dead_parts(self) -> None:
        """Removes what killed consumers have left."""
        for part in self._folder.glob(".*.part"):
            with suppress(OSError):  # another one was faster
                if part.stat().st_mtime < time.time() - _PART_SECONDS:
                    shutil.rmtree(part)

    def _download(self, address: WebAddress, file: Path) -> None:
        with file.open("wb") as opened:
            self._web.get(
                address,
                opened.write,
                seconds=self._limits.seconds,
                most_bytes=self._limits.file_bytes,
                https=True,
            )

    def _fetch(self, source: str, addresses: Mapping[str, int], stopped: Callable[[], bool]) -> list[StoredImage]:
        """Downloads the images, in their order."""
        if len(addresses) > self._limits.images:
            problem = f"names {len(addresses):,} images; at most {self._limits.images:,} are fetched"
            raise InvalidInput(source, [Problem("", f"{problem}. Raise MITORCH_VOTT_MAX_IMAGES if that is meant so.")])
        self._images.prepare()
        found: list[StoredImage | None] = [None] * len(addresses)
        refused: list[str] = []
        total = 0
        with _threads() as pool:
            for number, result in _in_parallel(pool, self._fetch_one, addresses, stopped):
                if isinstance(result, Refused):
                    refused.append(str(result))
                    if len(refused) > _SHOWN:
                        break
                    continue
                found[number] = result
                total += result.size
                if total > self._limits.total_bytes:
                    problem = f"has images of more than {self._limits.total_bytes / 1e9:g} GB"
                    raise InvalidInput(
                        source, [Problem("", f"{problem}. Raise MITORCH_VOTT_MAX_TOTAL_GB if that is meant so.")]
                    )
        if refused:
            shown = [Problem("", text) for text in refused[:_SHOWN]]
            raise InvalidInput(source, [*shown, *([Problem("", "and more")] if len(refused) > _SHOWN else [])])
        return [one for one in found if one is not None]

    def _fetch_one(self, text: str) -> StoredImage | Refused:
        address = web_address(text)
        for tries in range(1, _TRIES + 1):
            try:
                return self._images.fetch(address)
            except Refused as error:
                return error
            except Unavailable:
                if tries == _TRIES:
                    raise
        raise AssertionError("the loop returns or raises")


class _Making:
    """An annotation file that was downloaded, read once for its images and twice for its boxes: neither is held."""

    def __init__(self, source: str, file: Path, box_format: BoxFormat | None) -> None:
        self._source = source
        self._file = file
        self._layout: Layout = read_layout(file, source)
        self._asked = box_format or self._layout.box_format
        self.addresses: dict[str, int] = {}  # of images -> their numbers
        for row in read_rows(file, source, self._layout):
            self.addresses.setdefault(row.address, len(self.addresses))

    def write(self, folder: Path, images: list[StoredImage]) -> tuple[str, ...]:
        """Writes train.csv, val.csv and labels.txt; returns remarks."""
        evidence, names, pairs = FormatEvidence(), dict[str, int](), array("Q")
        boxes = 0
        for row in read_rows(self._file, self._source, self._layout):
            if row.label:
                number = self.addresses[row.address]
                boxes += 1
                label = names.setdefault(row.label, len(names))
                pairs.append(number << 32 | label)
                if self._asked is None:
                    evidence.add(row.line, row.numbers, images[number].width, images[number].height)
        if not boxes:
            raise InvalidInput(self._source, [Problem("", "no row has a box: there is nothing to train on")])
        box_format, why = (self._asked, "") if self._asked is not None else evidence.decide(self._source)
        digests = [image.path.stem for image in images]
        chosen, told = held_out(digests, _classes_of(pairs, len(images)))
        self._write_splits(folder, images, box_format, chosen)
        (folder / "labels.txt").write_text(class_list_text(sorted(names)), encoding="utf-8")
        summary = f"{counted(len(images), 'image')} with {counted(boxes, 'box', 'boxes')} of "
        summary += f"{counted(len(names), 'class', 'classes')}: {told}"
        return tuple(filter(None, (summary, why)))

    def _write_splits(self, folder: Path, images: list[StoredImage], box_format: BoxFormat, chosen: set[int]) -> None:
        """An image that trains and validates, because there are too few, is in both files."""
        every = len(chosen) == len(images)
        with ExitStack() as files:
            train, val = (
                CsvRows(files.enter_context((folder / f"{name}.csv").open("w", encoding="utf-8", newline="")))
                for name in ("train", "val")
            )
            train.writerow(_HEADER)
            val.writerow(_HEADER)
            for row in read_rows(self._file, self._source, self._layout):
                number = self.addresses[row.address]
                corners: tuple[Any, ...] = as_corners(row.numbers, box_format) if row.label else ("", "", "", "")
                written = (str(images[number].path), *corners, row.label)
                if every or number not in chosen:
                    train.writerow(written)
                if number in chosen:
                    val.writerow(written)


def _classes_of(pairs: array[int], images: int) -> list[tuple[int, ...]]:
    """The classes of each image, each once."""
    found: list[tuple[int, ...]] = [()] * images
    for pair in sorted(set(pairs)):
        found[pair >> 32] += (pair & 0xFFFFFFFF,)
    return found


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """Ends without waiting for what has not begun."""
    pool = ThreadPoolExecutor(_PARALLEL, "images")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _in_parallel(
    pool: ThreadPoolExecutor,
    fetch: Callable[[str], StoredImage | Refused],
    addresses: Mapping[str, int],
    stopped: Callable[[], bool],
) -> Iterator[tuple[int, StoredImage | Refused]]:
    """Yields each image's number and result, as they come. A few more than are fetched at a time wait in the pool, not
    all."""
    waiting: dict[Future[StoredImage | Refused], int] = {}
    left = iter(addresses.items())
    while True:
        if stopped():
            raise Unavailable("stopped while images were downloaded")
        while len(waiting) < 2 * _PARALLEL and (item := next(left, None)) is not None:
            waiting[pool.submit(fetch, item[0])] = item[1]
        if not waiting:
            return
        done = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED).done
        for future in done:
            yield waiting.pop(future), future.result()
