"""Labels that were spoiled on purpose come first."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from mitorch_service.training.suspects.confident_learning import mean_probabilities, rank_class_sets, rank_classes


def test_of_spoiled_digits_four_fifths_are_in_the_first_six_percent() -> None:
    digits = load_digits()
    draw = np.random.default_rng(0)
    count = len(digits.target)
    spoiled = draw.choice(count, round(0.03 * count), replace=False)
    labels = digits.target.astype(np.int64).copy()
    labels[spoiled] = (labels[spoiled] + draw.integers(1, 10, len(spoiled))) % 10
    models = (KNeighborsClassifier(5), KNeighborsClassifier(20), GaussianNB(var_smoothing=0.01))
    of_models = [cross_val_predict(one, digits.data, labels, cv=3, method="predict_proba") for one in models]
    ranked = rank_classes(mean_probabilities(of_models), labels)
    first = ranked[: round(0.06 * count)]
    found = [one for one in first if one.index in set(spoiled.tolist())]
    assert len(found) >= 0.8 * len(spoiled)  # all 54
    right = [one for one in found if one.suggested == digits.target[one.index]]
    assert len(right) >= 0.9 * len(found)


def test_an_unsure_class_has_a_lower_threshold() -> None:
    sure, unsure = [[0.9, 0.1], [0.95, 0.05]], [[0.48, 0.52], [0.45, 0.55], [0.44, 0.56]]
    probabilities = np.array([*sure, *unsure, [0.43, 0.57]])
    labels = np.array([0, 0, 1, 1, 1, 0])
    first, second = rank_classes(probabilities, labels)[:2]
    assert (first.index, first.label, first.suggested) == (5, 0, 1)
    assert first.score == pytest.approx(0.57)
    assert second.score < first.score


def test_a_missing_and_a_superfluous_class_of_several() -> None:
    shown = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1], [0, 0]], bool)
    probabilities = np.where(shown, 0.9, 0.1).astype(float)
    probabilities[4, 1], probabilities[5, 0] = 0.02, 0.97
    first, second = rank_class_sets(probabilities, shown)[:2]
    assert (first.index, first.label, first.suggested) == (4, 1, None)
    assert (second.index, second.label, second.suggested) == (5, 0, 0)
    assert [first.score, second.score] == pytest.approx([0.98, 0.97])


def test_sets_without_classes_to_tell_apart() -> None:
    assert rank_classes(np.ones((3, 1)), np.zeros(3, np.int64)) == []
    assert rank_class_sets(np.ones((3, 0)), np.ones((3, 0), bool)) == []
