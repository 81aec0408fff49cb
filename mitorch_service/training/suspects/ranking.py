"""Ranks the images of a data set by how much trained models disagree with their labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box
from mitorch_service.errors import DataError
from mitorch_service.training.data.annotated_images import annotated_images
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.suspects.box_suspects import BoxSuspect, in_turns, rank_boxes, scaled
from mitorch_service.training.suspects.confident_learning import (
    LabelSuspect,
    mean_probabilities,
    rank_class_sets,
    rank_classes,
)

_LEAST_SCORE = 0.05  # of a detector's boxes

Report = Callable[[str], None]


class Predictor(Protocol):
    """A trained model (`training.prediction.model.Model`)."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def kind(self) -> str: ...

    def stream(
        self, paths: PackedStrings, damaged: Report, *, threshold: float | None = None, top: int | None = None
    ) -> Iterator[AnnotatedImage]: ...


@dataclass(frozen=True)
class Suspect:
    """A label, or a box, that may be wrong."""

    kind: str  # label; of boxes: missed, extra, shifted, wrong class
    split: str
    image: str
    index: int  # of the image, in its split
    label: str | None  # as it is; None: it is missing
    suggested: str | None  # None: there should be none
    score: float  # 0..1; the higher, the more suspect
    box: Box | None = None
    suggested_box: Box | None = None


@dataclass(frozen=True)
class Ranking:
    """All suspects, the most suspect first, and what could not be looked at."""

    suspects: list[Suspect]
    images: int
    damaged: list[str]
    learned: int = 0  # images that every model was trained on


class Readings:
    """Predictions of the models on all images of a data set, gathered one model after the other."""

    def __init__(self, lists: Mapping[str, ImageList]) -> None:
        self._lists = lists
        self._places = {
            str(images.location(index)): (split, index)
            for split, images in lists.items()
            for index in range(len(images))
        }
        self._paths = PackedStrings(self._places)
        self._seen: list[Set[str]] = []  # by each model, in its training
        self._boxes: list[dict[str, tuple[Box, ...]]] = []  # of each detector, by path
        self._probabilities: list[dict[str, NDArray[np.float32]]] = []  # of each classifier: (classes)
        self.damaged: dict[str, None] = {}

    def add(self, model: Predictor, source: str, seen: Set[str] = frozenset()) -> None:
        """Lets a model predict all images. `seen`: the paths of images that it was trained on, which it judges only if
        every model was. Raises DataError for one of another kind, or with other classes."""
        images = next(iter(self._lists.values()))
        if model.kind != images.kind:
            raise DataError(f"{source} is for {model.kind} sets, but {images.name} is a {images.kind} one.")
        unknown = sorted(set(images.classes) - set(model.classes))
        if unknown:
            raise DataError(f"{source} does not know the class {unknown[0]!r} of {images.name}. Take others.")
        self._seen.append(seen)
        if images.kind == "detection":
            stream = model.stream(self._paths, self._refuse, threshold=_LEAST_SCORE)
            self._boxes.append({one.path: one.boxes for one in stream})
            return
        top = len(model.classes)
        stream = model.stream(self._paths, self._refuse, threshold=0.0, top=top)
        self._probabilities.append({one.path: self._row(one) for one in stream})

    def rank(self) -> Ranking:
        """Ranks by what all models say. Images that cannot be read are left out."""
        read = [*map(dict.keys, self._boxes), *map(dict.keys, self._probabilities)]
        known = [path for path in self._places if all(path in paths for paths in read)]
        if next(iter(self._lists.values())).kind == "detection":
            suspects = list(self._of_boxes(known))
        else:
            suspects = [self._of_class(path, one) for path, one in self._ranked_classes(known)]
        learned = sum(all(path in seen for seen in self._seen) for path in known) if self._seen else 0
        return Ranking(suspects, len(known), list(self.damaged), learned)

    def _judges(self, path: str) -> list[int]:
        """The numbers of the models that were not trained on an image; of all if all were: a model learns the wrong
        labels of its own training, too."""
        everyone = range(len(self._seen))
        return [number for number in everyone if path not in self._seen[number]] or list(everyone)

    def _refuse(self, problem: str) -> None:
        self.damaged[problem] = None

    def _classes(self) -> tuple[str, ...]:
        return next(iter(self._lists.values())).classes

    def _ranked_classes(self, known: Sequence[str]) -> Iterator[tuple[str, LabelSuspect]]:
        if not known:
            return
        probabilities = np.stack(
            [mean_probabilities([self._probabilities[one][path] for one in self._judges(path)]) for path in known]
        )
        shown = [self._lists[split].targets.labels_of(index) for split, index in map(self._places.__getitem__, known)]
        if next(iter(self._lists.values())).kind == "multiclass":
            ranked = rank_classes(probabilities, np.array([labels[0] for labels in shown], np.int64))
        else:
            given = np.zeros(probabilities.shape, np.bool_)
            for row, labels in enumerate(shown):
                given[row, list(labels)] = True
            ranked = rank_class_sets(probabilities, given)
        yield from ((known[one.index], one) for one in ranked)

    def _row(self, image: AnnotatedImage) -> NDArray[np.float32]:
        """The probability of each class of the data set."""
        scores = {label.class_name: label.score or 0.0 for label in image.labels}
        return np.array([scores.get(name, 0.0) for name in self._classes()], np.float32)

    def _of_class(self, path: str, one: LabelSuspect) -> Suspect:
        split, index = self._places[path]
        classes = self._classes()
        suggested = None if one.suggested is None else classes[one.suggested]
        label = None if one.suggested == one.label else classes[one.label]  # multilabel: it is missing
        return Suspect("label", split, path, index, label, suggested, one.score)

    def _of_boxes(self, known: Sequence[str]) -> Iterator[Suspect]:
        labelled = {
            str(images.location(index)): one
            for images in self._lists.values()
            for index, one in enumerate(_upright(images))
        }
        true = [labelled[path].boxes for path in known]
        of_models = [
            scaled(true, [found[path] for path in known], [path not in seen for path in known])
            for found, seen in zip(self._boxes, self._seen, strict=True)
        ]
        found: list[tuple[str, BoxSuspect]] = []
        for place, path in enumerate(known):
            judges = [of_models[number][place] for number in self._judges(path)]
            found += [(path, one) for one in rank_boxes(true[place], judges)]
        yield from (self._of_box(path, one) for path, one in in_turns(found))

    def _of_box(self, path: str, one: BoxSuspect) -> Suspect:
        split, index = self._places[path]
        label = None if one.kind == "missed" else one.box.class_name
        suggested = None if one.suggested is None else one.suggested.class_name
        box = None if one.kind == "missed" else one.box
        return Suspect(one.kind, split, path, index, label, suggested, round(one.score, 6), box, one.suggested)


def _upright(images: ImageList) -> Iterator[AnnotatedImage]:
    """The images with their boxes in pixels of the upright image, as those of predictions are."""
    for one, _ in annotated_images(images):
        yield one
