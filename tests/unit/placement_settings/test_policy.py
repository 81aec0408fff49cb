"""MITORCH_PLACEMENT: what it means, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitorch_service.errors import SettingsError
from mitorch_service.placement_settings.policy import FIRST_COME, Policy, read_policy
from mitorch_service.settings import read_settings


def test_without_it_the_order_is_by_age_and_nothing_is_backfilled(tmp_path: Path) -> None:
    assert read_settings({"MITORCH_HOME": str(tmp_path)}).placement == FIRST_COME == read_policy("{}") == Policy()
    assert FIRST_COME.text() == "first come, first served"


def test_it_is_read_from_the_variable_or_a_file(tmp_path: Path) -> None:
    text = '{"fair_share": {"by": "team", "half_life": "2w", "max_wait": "12h", "weights": {"a": 2}}, "backfill": true}'
    file = tmp_path / "placement.json"
    file.write_text(text)
    policy = read_settings({"MITORCH_HOME": str(tmp_path), "MITORCH_PLACEMENT": str(file)}).placement
    assert policy == read_policy(text)
    assert policy.text() == "fair share by team, backfill"
    assert policy.fair_share is not None
    assert (policy.fair_share.half_life, policy.fair_share.max_wait) == (336.0, 12.0)
    assert (policy.fair_share.weight("a"), policy.fair_share.weight("b")) == (2.0, 1.0)
    assert len({policy, read_policy(text), FIRST_COME}) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "the setting: must be an object"),
        ("{", "is not JSON"),
        ("/no/such/file", "cannot read /no/such/file: No such file"),
        ('{"fair_share": {}}', "fair_share.by: is required"),
        ('{"fair_share": {"by": "job"}}', "fair_share.by: must be 'user' or 'team' (it is 'job')"),
        ('{"fairshare": {"by": "team"}}', "fairshare: is an unknown key"),
        ('{"fair_share": {"by": "user", "half_life": 7}}', "fair_share.half_life: must be a time such as"),
        ('{"fair_share": {"by": "user", "half_life": "0h"}}', "fair_share.half_life: must be a time such as"),
        ('{"fair_share": {"by": "user", "max_wait": "3m"}}', "(it is '3m')"),
        ('{"fair_share": {"by": "user", "weights": {"a": 0}}}', "fair_share.weights.a: must be more than 0 (it is 0)"),
        ('{"fair_share": {"by": "user", "weights": {"a": NaN}}}', "fair_share.weights.a: must be"),
        ('{"backfill": 1}', "backfill: must be true or false (it is 1)"),
    ],
)
def test_what_is_wrong_is_named_with_its_field_value_and_remedy(text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_policy(text)
    assert problem in str(caught.value)
    assert "MITORCH_PLACEMENT" in str(caught.value)
    assert '{"fair_share"' in str(caught.value)
