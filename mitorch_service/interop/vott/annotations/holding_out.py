"""Chooses the images that validate: of ten about one, by the hash of its content, so that the same images are always on
the same side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_ONE_OF = 10
LEAST_IMAGES = 2  # to train on: batch normalization needs more than one


def held_out(digests: Sequence[str], classes: Sequence[Sequence[int]]) -> tuple[set[int], str]:
    """Returns the numbers of the images that validate, and a remark. `digests`: of each image's content; `classes`: of
    each image, each once. A class is never in validation alone. Returns all images, if too few show a box to hold
    any out: they then train and validate."""
    chosen = {number for number, digest in enumerate(digests) if int(digest[:8], 16) % _ONE_OF == 0}
    training = Counter(one for number, found in enumerate(classes) if number not in chosen for one in found)
    for number in sorted(chosen):
        if len(digests) - len(chosen) < LEAST_IMAGES or any(training[one] == 0 for one in classes[number]):
            chosen.discard(number)
            training.update(classes[number])
    if any(classes[number] for number in chosen):
        return chosen, f"{len(digests) - len(chosen)} images to train, {len(chosen)} to validate"
    for number in sorted(range(len(digests)), key=lambda one: digests[one]) if len(digests) > LEAST_IMAGES else ():
        if classes[number] and all(training[one] > 1 for one in classes[number]):
            chosen.add(number)
            return chosen, f"{len(digests) - len(chosen)} images to train, {len(chosen)} to validate"
    every = set(range(len(digests)))
    return every, f"too few images to hold any out: the {len(digests)} of them train and validate"
