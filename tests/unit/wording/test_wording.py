"""Words for people: no library's own, the nearest known one, the right noun."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from mitorch_service.models.search.job import Algorithm
from mitorch_service.models.status import TrainingStatus
from mitorch_service.wording.counted import counted
from mitorch_service.wording.input_problem import input_problem
from mitorch_service.wording.suggestion import did_you_mean, nearest_words


class Inner(BaseModel):
    a: int = 0


class Everything(BaseModel):
    model_config = {"extra": "forbid"}
    section: Inner = Inner()
    mapping: dict[str, int] = {}
    whole: Annotated[int, Field(ge=1, lt=10)] = 1
    number: Annotated[float, Field(gt=0, le=5, allow_inf_nan=False)] = 1
    switch: bool = False
    text: Annotated[str, Field(min_length=1, max_length=3, pattern="^a")] = "a"
    items: Annotated[list[int], Field(min_length=1, max_length=2)] = [1]
    pair: tuple[int, int] = (1, 2)
    status: TrainingStatus = TrainingStatus.NEW
    word: Literal["a", "b"] = "a"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("section", "x", "must be an object {…}"),
        ("mapping", [1], "must be an object {…}"),
        ("whole", "x", "must be a whole number"),
        ("whole", 1.5, "must be a whole number"),
        ("whole", None, "must be a whole number"),
        ("whole", 0, "must be 1 or more"),
        ("whole", 10, "must be less than 10"),
        ("number", "x", "must be a number"),
        ("number", [], "must be a number"),
        ("number", 0, "must be more than 0"),
        ("number", 6, "must be 5 or less"),
        ("number", float("nan"), "must be a finite number"),
        ("switch", "perhaps", "must be true or false"),
        ("switch", 7, "must be true or false"),
        ("text", 1, 'must be a text in "quotes"'),
        ("text", "", "must not be empty"),
        ("text", "abcd", "must have 3 characters at most"),
        ("text", "b", "must match the pattern ^a"),
        ("items", 1, "must be a list […]"),
        ("items", [], "must not be empty"),
        ("items", [1, 2, 3], "must have 2 entries at most"),
        ("pair", 1, "must be a list […]"),
        ("status", "x", "must be 'new', 'queued'"),
        ("other", 1, "is an unknown key"),
    ],
)
def test_problems_are_worded_without_pydantic(field: str, value: Any, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Everything.model_validate({field: value})
    said = input_problem(caught.value.errors()[0])
    assert said.startswith(words)


KNOWN: dict[str, list[str]] = {
    "metrics": ["val_loss", "top1_accuracy", "top5_accuracy", "average_precision", "precision", "recall", "f1"],
    "algorithms": list(Algorithm.__args__),  # type: ignore[attr-defined]
    "tasks": ["multiclass_classification", "multilabel_classification", "object_detection"],
    "statuses": [status.value for status in TrainingStatus],
    "directions": ["minimize", "maximize"],
}


@pytest.mark.parametrize(
    ("word", "known", "near"),
    [
        ("accuracy", "metrics", ["top1_accuracy"]),
        ("loss", "metrics", ["val_loss"]),
        ("f1_score", "metrics", ["f1"]),
        ("bayes", "algorithms", ["gp", "tpe"]),
        ("genetic", "algorithms", ["nsga2"]),
        ("rndom", "algorithms", ["random"]),
        ("clasification", "tasks", ["multiclass_classification", "multilabel_classification"]),
        ("detection", "tasks", ["object_detection"]),
        ("Complete", "statuses", ["completed"]),
        ("done", "statuses", ["completed"]),
        ("max", "directions", ["maximize"]),
        ("minimise", "directions", ["minimize"]),
        ("zzz", "statuses", []),
        ("", "statuses", []),
    ],
)
def test_the_nearest_word_is_what_was_meant(word: str, known: str, near: list[str]) -> None:
    assert nearest_words(word, KNOWN[known]) == near


def test_suggestions() -> None:
    assert did_you_mean("bayes", KNOWN["algorithms"]) == "did you mean 'gp' or 'tpe'? "
    assert did_you_mean("zzz", KNOWN["algorithms"]) == ""
    assert did_you_mean("a", []) == ""


def test_counts_have_the_right_noun() -> None:
    assert [counted(n, "trial") for n in (0, 1, 2)] == ["0 trials", "1 trial", "2 trials"]
    assert counted(2, "copy", "copies") == "2 copies"
