"""Quotas by the size of machines."""

from __future__ import annotations

import pytest

from mitorch_service.backends.azureml.quota import cores_of, find_usage

USAGES = [
    {"name": {"value": name}, "limit": number}
    for number, name in enumerate(
        [
            "Total Cluster LowPriority Regional vCPUs",
            "Standard NCSv3 Family Cluster Dedicated vCPUs",
            "standardNCADSA100v4Family",
            "standardNCASv3_T4Family",
            "standardNDSFamily",
            "standardDSv2Family",
            "standardDv2Family",
        ]
    )
]


@pytest.mark.parametrize(
    ("size", "cores", "usage"),
    [
        ("Standard_NC6s_v3", 6, 1),
        ("STANDARD_NC24ads_A100_v4", 24, 2),
        ("Standard_NC4as_T4_v3", 4, 3),
        ("Standard_ND12s", 12, 4),
        ("Standard_DS3_v2", 3, 5),
        ("Standard_D2_v2", 2, 6),
        ("Standard_NV36ads_A10_v5", 36, None),
    ],
)
def test_the_quota_of_a_size(size: str, cores: int, usage: int | None) -> None:
    assert cores_of(size) == cores
    found = find_usage(USAGES, size, low_priority=False)
    assert (found and found["limit"]) == usage
    assert find_usage(USAGES, size, low_priority=True) == USAGES[0]


def test_a_size_of_another_form_has_none() -> None:
    assert cores_of("whatever") == 0
    assert find_usage(USAGES, "whatever", low_priority=False) is None
