"""Clusters images by what they look like to a network."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitorch_service.errors import DataError, MissingExtra
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.embedding.backbone import open_backbone
from mitorch_service.training.plots.feature_map import draw_feature_map

_DIMENSIONS = 50  # that are kept of the features
_CANDIDATES = (4, 6, 9, 13, 19, 28, 42)  # numbers of clusters
_LEAST_IMAGES = 10  # of a cluster, on average
_SAMPLE = 2_000  # images by which candidates are compared, and that are drawn
_MANY = 20_000  # images, which k-means takes in parts


@dataclass(frozen=True)
class EmbeddingChoice:
    """The network, and the number of clusters."""

    backbone: str  # weights, or a model of timm
    untrained: bool = False
    clusters: int | None = None  # None: by the silhouette score
    seed: int = 0


class ClusterSearch:
    """Finds the clusters of a data set, and draws them afterwards."""

    def __init__(self, choice: EmbeddingChoice, report: Callable[[str], None]) -> None:
        """Raises MissingExtra, ModelError. `report` is told what takes long."""
        try:
            import sklearn  # noqa: F401
        except ImportError:
            raise MissingExtra("scikit-learn", "train") from None
        self._choice = choice
        self._report = report
        self._backbone = open_backbone(choice.backbone, untrained=choice.untrained, seed=choice.seed)
        self._reduced: NDArray[np.float32] = np.empty((0, 0), np.float32)
        self._clusters: list[int] = []

    def __call__(self, images: ImageList) -> tuple[Sequence[int], dict[str, Any]]:
        """The cluster of each image, and how they were found: features of length 1, their first 50 principal
        components, k-means; of several numbers of clusters the one with the best silhouette score (Rousseeuw 1987).
        Does not depend on the order of the images. Raises DataError."""
        if len(images) < 2 * _LEAST_IMAGES:
            raise DataError(f"{images.name}: {len(images)} images are too few to cluster. Split them --by random.")
        self._report(f"looking at {len(images):,} images with {self._backbone.source}")
        names = list(images.images)
        order = sorted(range(len(images)), key=names.__getitem__)
        reduced = _reduce(self._backbone.features([(images, index) for index in order]), self._choice.seed)
        count, reason = self._count(reduced)
        found = _cluster(reduced, count, self._choice.seed)
        clusters = np.empty(len(images), np.int64)
        clusters[order] = found
        self._reduced = np.empty_like(reduced)
        self._reduced[order] = reduced
        self._clusters = clusters.tolist()
        return self._clusters, {"count": count, "chosen_by": reason, "backbone": self._backbone.source}

    def draw(self, parts: Sequence[str], images: ImageList, path: Path) -> Path:
        """Draws up to 2,000 images as t-SNE places them, coloured by cluster, part and class; returns the path."""
        from sklearn.manifold import TSNE

        chosen = _sample(len(images), self._choice.seed)
        perplexity = min(30.0, (len(chosen) - 1) / 3)
        places = TSNE(perplexity=perplexity, init="pca", random_state=self._choice.seed).fit_transform(
            self._reduced[chosen]
        )
        colours = {
            "cluster": [str(self._clusters[index]) for index in chosen],
            "part": [parts[index] for index in chosen],
            "class": [_shown(images, index) for index in chosen],
        }
        return draw_feature_map(places, colours, images.name, path)

    def _count(self, reduced: NDArray[np.float32]) -> tuple[int, str]:
        if self._choice.clusters is not None:
            if self._choice.clusters >= len(reduced):
                raise DataError(f"{self._choice.clusters} clusters of {len(reduced)} images: take fewer (--clusters).")
            return self._choice.clusters, "--clusters"
        from sklearn.metrics import silhouette_score

        sample = reduced[_sample(len(reduced), self._choice.seed)]
        candidates = [count for count in _CANDIDATES if count * _LEAST_IMAGES <= len(sample)] or [2]
        scores = {}
        for count in candidates:
            labels = _cluster(sample, count, self._choice.seed)
            scores[count] = float(silhouette_score(sample, labels)) if len(set(labels.tolist())) > 1 else -1.0
        best = max(candidates, key=scores.__getitem__)
        tried = ", ".join(map(str, candidates))
        return best, f"the best silhouette score, {scores[best]:.2f}, of {tried}"


def _shown(images: ImageList, index: int) -> str:
    labels = set(images.targets.labels_of(index))
    if len(labels) > 1:
        return "several"
    return images.classes[labels.pop()] if labels else "none"


def _reduce(features: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    from sklearn.decomposition import PCA

    dimensions = min(_DIMENSIONS, *features.shape)
    reduced: NDArray[np.float32] = PCA(dimensions, random_state=seed).fit_transform(features)
    return reduced


def _cluster(reduced: NDArray[np.float32], count: int, seed: int) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans, MiniBatchKMeans

    kind = KMeans if len(reduced) <= _MANY else MiniBatchKMeans
    labels: NDArray[np.int64] = kind(count, n_init=3, random_state=seed).fit_predict(reduced)
    return labels


def _sample(images: int, seed: int) -> list[int]:
    if images <= _SAMPLE:
        return list(range(images))
    return sorted(random.Random(seed).sample(range(images), _SAMPLE))
