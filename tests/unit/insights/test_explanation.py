"""The words of `misubmit --explain`."""

from __future__ import annotations

import pytest

from mitorch_service.insights.explanation import explanation
from mitorch_service.models.search.job import SearchConfig
from tests.samples import a_job


@pytest.mark.parametrize(("most", "told"), [(20, "3 trials, at most 3 open"), (2, "2 trials, at most 2 open")])
def test_a_finite_space_is_tried_once(most: int, told: str) -> None:
    search = SearchConfig(algorithm="grid", max_trials=most, objective="val_loss")
    job = a_job(config={"script": {"command": ["x"]}, "parameters": {"a": {"_choice": [1, 2, 3]}}}, search=search)
    lines = explanation(job)
    assert told in "\n".join(lines)
    assert not any("more" in line for line in lines)
