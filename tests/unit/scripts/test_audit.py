from __future__ import annotations

from typing import Any

import pytest

from scripts import audit

CLEAN = {"name": "click", "version": "8.2.0", "vulns": []}
SKIPPED = {"name": "six", "skip_reason": "Dependency not found on PyPI and could not be audited: six (1.17.0)"}


def vulnerable(id: str, *aliases: str) -> dict[str, Any]:
    found = {"id": id, "aliases": list(aliases), "fix_versions": ["2.0", "1.9.1"], "description": "…"}
    return {"name": "left", "version": "1.0", "vulns": [found]}


def test_a_known_vulnerability_fails_and_names_the_version_that_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.report([CLEAN, vulnerable("GHSA-1")]) == 1
    assert "left 1.0: GHSA-1, fixed in 2.0, 1.9.1." in capsys.readouterr().out


@pytest.mark.parametrize("id", ["GHSA-1", "CVE-1"])
def test_an_explained_one_does_not(id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "EXCEPTIONS", {id: "a server that we do not start"})
    assert audit.report([vulnerable("GHSA-1", "CVE-1")]) == 0


def test_what_nobody_looked_at_is_told_and_fails_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.report([CLEAN, SKIPPED]) == 0
    assert "1 of 2 versions were not looked at" in capsys.readouterr().out
