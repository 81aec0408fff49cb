"""Finds images of one split that another has too: the same, nearly the same, or frames of one recording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mitorch_service.training.data.duplicates import paths
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.leaks.alignment import aligned_differences
from mitorch_service.training.data.leaks.image_traits import ImageTraits, read_traits
from mitorch_service.training.data.leaks.near_hashes import near_pairs

Kind = Literal["same file", "same content", "near-duplicate", "same recording"]
KINDS: tuple[Kind, ...] = ("same file", "same content", "near-duplicate", "same recording")

_MOST_BITS = 6  # of 64 that differ; hashes of unlike photographs differ in 32
_MOST_DIFFERENCE = 9.0  # of 255, mean over the tiny picture, when both are equally bright
_MOST_BRIGHTER = 25.0  # of 255, that a copy may be
_CANDIDATE_BITS = 10  # where aligned pictures, or embeddings, decide
_WORTH_ALIGNING = 18.0  # of 255, mean over the tiny picture: of what is cut by 6 % it is 13 mostly
_MOST_ALIGNED_DIFFERENCE = 8.0  # of 255, mean over the grey pictures

# The cosine similarity of the embeddings of pairs of images.
Compare = Callable[[Sequence[tuple[ImageList, int]], Sequence[tuple[ImageList, int]]], NDArray[np.float32]]


@dataclass(frozen=True)
class Leak:
    """An image of a split, and one like it in a split before it; of the surest kind that holds."""

    kind: Kind
    split: str
    index: int
    image: str
    other_split: str
    other_index: int
    other_image: str
    bits: int | None = None  # of a near-duplicate: in which the hashes differ


@dataclass(frozen=True)
class LeakReport:
    """All leaks of a data set."""

    leaks: list[Leak]
    images: dict[str, int]  # of each split
    damaged: list[str] = field(default_factory=list)  # images that cannot be decoded, which are in no near-duplicate
    recordings: str = ""  # how frames were told apart; empty: the names tell nothing

    def counts(self) -> dict[str, dict[str, int]]:
        """The leaking images of each split but the first, by kind."""
        found = Counter((leak.split, leak.kind) for leak in self.leaks)
        return {split: {kind: found[split, kind] for kind in KINDS} for split in list(self.images)[1:]}


@dataclass(frozen=True)
class Frames:
    """The recording of each image of all splits, one after the other."""

    of_image: Sequence[str]
    rule: str


def check_leaks(
    lists: Mapping[str, ImageList],
    frames: Frames | None = None,
    compare: Compare | None = None,
    least_similarity: float = 0.95,
) -> LeakReport:
    """Compares each split with those before it, of which train is the first; reads every image.

    Near-duplicates have perceptual hashes that differ in at most 6 of 64 bits, and 8 x 8 pixels that differ by 9 of 255
    on average; or in at most 10 bits, and 24 x 24 grey pixels that differ by 8 after one of them has been cut at its
    edges by up to 6 %; with `compare`, in at most 10 bits, and embeddings of at least that similarity.
    """
    everything = _Everything.of(lists)
    traits = [read_traits(images) for images in lists.values()]
    steps: list[Iterator[tuple[int, int, int | None]]] = [
        _same(everything, [path for images in lists.values() for path in paths(images)]),
        _same(everything, [digest for one in traits for digest in one.digests]),
        _near(everything, traits, compare, least_similarity),
    ]
    if frames is not None:
        steps.append(_same(everything, frames.of_image))
    leaks: dict[int, Leak] = {}
    for kind, pairs in zip(KINDS, steps, strict=False):
        for ours, theirs, bits in pairs:
            leaks.setdefault(ours, everything.leak(kind, ours, theirs, bits))
    return LeakReport(
        sorted(leaks.values(), key=lambda leak: (KINDS.index(leak.kind), leak.bits or 0, leak.split, leak.image)),
        {name: len(images) for name, images in lists.items()},
        [one for found in traits for one in found.damaged],
        frames.rule if frames is not None else "",
    )


@dataclass(frozen=True)
class _Everything:
    """All splits, their images numbered one after the other."""

    names: list[str]
    lists: list[ImageList]
    starts: list[int]  # of each split

    @classmethod
    def of(cls, lists: Mapping[str, ImageList]) -> _Everything:
        sizes = np.cumsum([0, *(len(images) for images in lists.values())]).tolist()
        return cls(list(lists), list(lists.values()), sizes)

    def place(self, number: int) -> tuple[int, int]:
        """The split of an image, and its index there."""
        split = int(np.searchsorted(self.starts, number, "right")) - 1
        return split, number - self.starts[split]

    def image(self, number: int) -> tuple[ImageList, int]:
        split, index = self.place(number)
        return self.lists[split], index

    def leak(self, kind: Kind, ours: int, theirs: int, bits: int | None) -> Leak:
        (split, index), (other, other_index) = self.place(ours), self.place(theirs)
        images, others = self.lists[split], self.lists[other]
        ours_named, theirs_named = str(images.location(index)), str(others.location(other_index))
        return Leak(kind, self.names[split], index, ours_named, self.names[other], other_index, theirs_named, bits)


def _same(everything: _Everything, keys: Sequence[str] | Sequence[bytes]) -> Iterator[tuple[int, int, int | None]]:
    """Pairs of an image and the first one with the same key in an earlier split; empty keys are no keys."""
    first: dict[str | bytes, int] = {}
    for start, end in zip(everything.starts, everything.starts[1:], strict=False):
        for number in range(start, end):
            if keys[number] in first:
                yield number, first[keys[number]], None
        for number in range(start, end):
            if keys[number]:
                first.setdefault(keys[number], number)


def _near(
    everything: _Everything, traits: Sequence[ImageTraits], compare: Compare | None, least: float
) -> Iterator[tuple[int, int, int | None]]:
    """Pairs of an image and the nearest one in an earlier split."""
    hashes = np.concatenate([one.hashes for one in traits])
    pictures = _Pictures.of(traits)
    readable = np.concatenate([one.readable for one in traits])
    for start, end in zip(everything.starts[1:], everything.starts[2:], strict=False):
        known = np.flatnonzero(readable[:start])
        wanted = start + np.flatnonzero(readable[start:end])
        theirs, ours, bits = _candidates(hashes, known, wanted, _CANDIDATE_BITS)
        if compare is None:
            like = pictures.alike(ours, theirs, bits)
        else:
            pairs = [[everything.image(number) for number in side.tolist()] for side in (ours, theirs)]
            like = compare(pairs[0], pairs[1]) >= least
        seen: set[int] = set()
        for one, other, differing in zip(ours[like].tolist(), theirs[like].tolist(), bits[like].tolist(), strict=True):
            if one not in seen:
                seen.add(one)
                yield one, other, differing


def _candidates(
    hashes: NDArray[np.uint64], known: NDArray[np.int64], wanted: NDArray[np.int64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """For each wanted image the first known one of each near hash; the nearest hash first."""
    known_hashes, first = np.unique(hashes[known], return_index=True)
    wanted_hashes, inverse = np.unique(hashes[wanted], return_inverse=True)
    theirs, ours, bits = near_pairs(known_hashes, wanted_hashes, most)
    starts = np.searchsorted(ours, np.arange(len(wanted_hashes)), "left")
    counts = np.searchsorted(ours, np.arange(len(wanted_hashes)), "right") - starts
    each = counts[inverse]
    pairs = np.repeat(starts[inverse] - (np.cumsum(each) - each), each) + np.arange(int(each.sum()))
    return known[first[theirs[pairs]]], np.repeat(wanted, each), bits[pairs]


@dataclass(frozen=True)
class _Pictures:
    """The small pictures of all images."""

    tiny: NDArray[np.uint8]  # (N, 8, 8, 3)
    grey: NDArray[np.uint8]  # (N, 24, 24)

    @classmethod
    def of(cls, traits: Sequence[ImageTraits]) -> _Pictures:
        return cls(np.concatenate([one.tiny for one in traits]), np.concatenate([one.grey for one in traits]))

    def alike(self, ours: NDArray[np.int64], theirs: NDArray[np.int64], bits: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Whether the pictures of each pair are nearly the same, `bits` being those in which the hashes differ."""
        differences = self._differences(ours, theirs)
        like = (bits <= _MOST_BITS) & (differences <= _MOST_DIFFERENCE)
        rest = np.flatnonzero(~like & (differences <= _WORTH_ALIGNING))
        aligned = aligned_differences(self.grey[ours[rest]], self.grey[theirs[rest]], _MOST_BRIGHTER)
        like[rest] = aligned <= _MOST_ALIGNED_DIFFERENCE
        return like

    def _differences(self, ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> NDArray[np.float32]:
        """The mean absolute difference of each pair's tiny pictures, after the brighter one has been darkened."""
        found = np.empty(len(ours), np.float32)
        for start in range(0, len(ours), 1 << 16):
            part = slice(start, start + (1 << 16))
            difference = self.tiny[ours[part]].astype(np.float32) - self.tiny[theirs[part]]
            difference -= difference.mean((1, 2, 3), keepdims=True).clip(-_MOST_BRIGHTER, _MOST_BRIGHTER)
            found[part] = np.abs(difference).mean((1, 2, 3))
        return found
