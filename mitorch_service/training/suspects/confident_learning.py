"""Ranks the labels of images by how much trained networks disagree with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_OFF_DIAGONAL = 1.0  # added to the score of what confident learning counts as mislabelled


@dataclass(frozen=True)
class LabelSuspect:
    """An image whose label may be wrong."""

    index: int
    label: int  # as it is; multilabel: the class in question
    suggested: int | None  # multiclass: the class to be; multilabel: None if `label` should go, itself if it is missing
    score: float  # 0..1; the higher, the more suspect


def rank_classes(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> list[LabelSuspect]:
    """Returns the images of a multiclass set, the most suspect first.

    `probabilities` (N, K): of networks that were not trained on these images, if possible; of several their mean.
    `labels` (N,). Confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in
    Dataset Labels"): class j's threshold is the mean probability of j among the images labelled j; an image counts as
    mislabelled if the most probable class of those that reach their threshold is another than its label. Such images
    come first; within both parts, by the margin between the label's probability and the best other one's.
    """
    count, classes = probabilities.shape
    if classes < 2:
        return []
    rows = np.arange(count)
    of_label = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = -1.0
    suggested = others.argmax(1)
    margin = of_label - others.max(1)  # -1..1
    confident = _confident_classes(probabilities, labels)
    mislabelled = (confident >= 0) & (confident != labels)
    score = (1 - margin) / 2  # 0..1
    order = np.lexsort((rows, -(score + _OFF_DIAGONAL * mislabelled)))
    shown = np.where(mislabelled, confident, suggested)
    return [
        LabelSuspect(int(index), int(labels[index]), int(shown[index]), round(float(score[index]), 6))
        for index in order.tolist()
    ]


def rank_class_sets(probabilities: NDArray[np.floating[Any]], shown: NDArray[np.bool_]) -> list[LabelSuspect]:
    """Returns the images of a multilabel set, each with its most suspect class; each class is learned alone.

    `probabilities` and `shown` (N, K): what networks say, and the labels.
    """
    count, classes = probabilities.shape
    if classes == 0:
        return []
    scores = np.zeros((count, classes))
    for label in range(classes):
        own = probabilities[:, label]
        both = np.stack([1 - own, own], 1)
        given = shown[:, label].astype(np.int64)
        mislabelled = _confident_classes(both, given) == 1 - given
        scores[:, label] = np.abs(given - own) + _OFF_DIAGONAL * mislabelled
    worst = scores.argmax(1)
    order = np.lexsort((np.arange(count), -scores.max(1)))
    return [
        LabelSuspect(
            index,
            int(worst[index]),
            None if shown[index, worst[index]] else int(worst[index]),
            round(float(abs(shown[index, worst[index]] - probabilities[index, worst[index]])), 6),
        )
        for index in order.tolist()
    ]


def mean_probabilities(of_models: Sequence[NDArray[np.floating[Any]]]) -> NDArray[np.float64]:
    """The mean over several networks of the same classes, each (N, K) or (K)."""
    return np.asarray(np.mean(np.stack(of_models), axis=0, dtype=np.float64))


def _confident_classes(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The most probable class of those that reach their threshold; -1: none does."""
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    rows = np.arange(len(labels))
    sums = np.bincount(labels, weights=probabilities[rows, labels], minlength=probabilities.shape[1])
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    reaching = np.where(probabilities >= thresholds, probabilities, -1.0)
    found = reaching.argmax(1)
    return np.where(reaching[rows, found] < 0, -1, found)
