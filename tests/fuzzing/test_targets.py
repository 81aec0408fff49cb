"""Every target takes its seeds, what was once found, and some damage to each."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzzing.damage import DAMAGES, Damage, damaged
from tests.fuzzing.found import FOUND
from tests.fuzzing.registry import load_all
from tests.fuzzing.target import Target, run

TARGETS = load_all()
NAMES = [pytest.param(one, marks=pytest.mark.long) if target.heavy else one for one, target in TARGETS.items()]
SLOW = ("import-", "viewer-", "dataset-definitions", "vott-message", "backup-", "pruned-")  # 10 to 50 ms an input
MANY = [
    name for name, target in TARGETS.items() if not name.startswith((*SLOW, "data-", "image")) and not target.heavy
]  # tests of the formats damage these
ours = settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Nobody reads what they would log."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(before)


def test_what_was_found_belongs_to_a_target() -> None:
    assert FOUND.keys() <= TARGETS.keys()


@pytest.mark.parametrize("name", [one for one in NAMES if getattr(one, "values", (one,))[0] in FOUND])
def test_what_was_found(name: str, tmp_path: Path) -> None:
    for content in FOUND[name]:
        assert (finding := run(TARGETS[name], content, tmp_path)) is None, finding and finding.told


@pytest.mark.parametrize("name", NAMES)
def test_seeds(name: str, tmp_path: Path) -> None:
    TARGETS[name].warm(tmp_path)
    for content in (TARGETS[name].seeds[0], b""):
        assert (finding := run(TARGETS[name], content, tmp_path)) is None, finding and finding.told


@pytest.mark.parametrize("name", MANY)
@given(data=st.data(), damages=DAMAGES)
@ours
def test_damage(name: str, data: st.DataObject, damages: list[Damage], tmp_path: Path) -> None:
    target: Target = TARGETS[name]
    content = damaged(data.draw(st.sampled_from(target.seeds)), damages)
    assert (finding := run(target, content, tmp_path)) is None, finding and finding.told
