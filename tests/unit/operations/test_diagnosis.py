"""The checks of mitorch doctor: one failure hides no other, and none waits for ever."""

from __future__ import annotations

import json
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import SettingsError, StoreError, StoreUnavailable
from mitorch_service.insights.service_status import read_status
from mitorch_service.models.dataset import SasToken
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.operations.diagnosis import Finding, Openers, diagnose
from mitorch_service.settings import Settings, read_settings
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend
from tests.samples import NOW, a_dataset, a_training, an_attempt, later
from tests.webhook_receiver import receiving


def findings(database: Store, folder: Path, seconds: float = 60.0, **openers: Any) -> dict[str, Finding]:
    """The findings on one local cluster, by check; `openers` replace those that work."""
    settings = read_settings({"MITORCH_HOME": str(folder)})
    working: dict[str, Any] = {
        "store": lambda settings: database,
        "artifacts": lambda settings: FolderArtifactStore(folder / "artifacts"),
        "backends": lambda settings: {"local": FakeBackend("local", slots=3)},
        "self_check": lambda cluster, settings: None,
    }
    found = diagnose(lambda: settings, Openers(**{**working, **openers}), seconds)
    return {finding.what: finding for finding in found}


def test_all_is_well(store: Store, tmp_path: Path) -> None:
    found = findings(store, tmp_path)
    assert list(found) == [
        *("settings", "database", "controller", "storage", "temporary folder", "cluster local", "training packages")
    ]
    assert all(finding.ok for finding in found.values())
    assert found["cluster local"].text == "local, 3 of 3 slots free"


def test_a_home_that_others_can_read_is_told(store: Store, tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    finding = findings(store, tmp_path)["privacy"]
    assert finding.text.startswith(f"{tmp_path} can be read by others (mode 0750): chmod -R go= {tmp_path}, or share")
    assert finding.ok  # it may be meant so


def test_one_failure_hides_no_other(store: Store, tmp_path: Path) -> None:
    def away(settings: Settings) -> Store:
        raise StoreUnavailable("here", "is away", "Start it.")

    found = findings(store, tmp_path, store=away)
    assert not found["database"].ok
    assert "Start it." in found["database"].text
    assert found["storage"].ok and found["cluster local"].ok


def test_a_fault_of_a_check_is_a_finding(store: Store, tmp_path: Path) -> None:
    def fault(cluster: Any, settings: Settings) -> None:
        raise ImportError("cannot import name 'x'")

    found = findings(store, tmp_path, self_check=fault)
    assert not found["cluster local"].ok
    assert found["cluster local"].text.startswith("ImportError: cannot import name 'x'. This is a fault")
    assert found["storage"].ok


def test_a_check_that_does_not_answer_is_a_finding(store: Store, tmp_path: Path) -> None:
    never = threading.Event()

    def hang(settings: Settings) -> Store:
        never.wait()
        raise StoreError("at db", "has come too late", "Nobody is told.")

    found = findings(store, tmp_path, seconds=0.2, store=hang)
    assert "no answer within 0.2 s" in found["database"].text
    never.set()


def test_wrong_settings_are_the_only_finding() -> None:
    def read() -> Settings:
        raise SettingsError("MITORCH_CLUSTERS", "is wrong", "Correct it.")

    nothing: Any = None
    (finding,) = diagnose(read, Openers(nothing, nothing, nothing, nothing), 1.0)
    assert (finding.what, finding.ok) == ("settings", False)
    assert finding.text == "MITORCH_CLUSTERS: is wrong. Correct it."


def test_what_cannot_be_written_and_that_no_controller_passes_is_told_with_its_time(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = {"outcome": AttemptOutcome.BLOCKED, "reason": "the disk is full", "ended_at": datetime.now(UTC)}
    training = a_training(attempt=1)
    attempts = [an_attempt(training).model_copy(update=blocked)]
    store.queue.add_trainings([training.model_copy(update={"attempts": attempts})])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    (tmp_path / "runs").mkdir()
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", MagicMock(side_effect=full))
    found = findings(store, tmp_path)
    assert "runs cannot be written ([Errno 28] No space left on device), so that no run" in found["cluster local"].text
    assert "TMPDIR" in found["temporary folder"].text
    since = f"rests since {datetime.now(UTC):%Y-%m-%d %H:%M}"
    assert found["runs on local"].text.startswith(since)
    assert "the disk is full" in found["runs on local"].text
    assert "no controller has made a pass yet" in found["controller"].text
    assert not any(found[name].ok for name in ("temporary folder", "cluster local", "runs on local", "controller"))


def test_webhooks_are_reached_without_a_message(store: Store, tmp_path: Path) -> None:
    with receiving() as receiver:
        hooks = [
            {"name": name, "kind": "slack", "url": f"http://127.0.0.1:{port}/secret-of-{name}"}
            for name, port in (("good", receiver.port), ("away", 1), ("failing", receiver.port))
        ]
        settings = read_settings({"MITORCH_HOME": str(tmp_path), "MITORCH_WEBHOOKS": json.dumps(hooks)})
        state = store.notifications.webhook_states(["failing"])["failing"]
        store.notifications.lease_webhook(state, later(60))
        failing = state.model_copy(update={"failing_since": NOW, "problem": "HTTP 404", "failures": 1})
        store.notifications.release_webhook(failing, later(60))
        openers = Openers(
            lambda settings: store,
            lambda settings: FolderArtifactStore(tmp_path / "artifacts"),
            lambda settings: {"local": FakeBackend("local")},
            lambda cluster, settings: None,
        )
        found = {one.what: one for one in diagnose(lambda: settings, openers, 60)}
        assert receiver.received == []
    good, away, failing_too = (found[f"webhook {name}"] for name in ("good", "away", "failing"))
    assert good.ok
    assert good.text == "slack, 127.0.0.1, nothing sent yet; `micontrol test-webhooks` sends a message"
    assert not away.ok and away.text.startswith("127.0.0.1 cannot be reached (Connection refused). Check the address")
    assert not failing_too.ok and "fails since 2026-11-20 12:30:15 UTC (HTTP 404)" in failing_too.text
    assert "secret-of" not in str(found)


def test_a_data_set_whose_token_has_expired_is_told_with_its_time(store: Store, tmp_path: Path) -> None:
    url = "https://acct.blob.core.windows.net/c/train.txt"
    tokens = [SasToken(url=url, token="se=2026-01-02T03:04:05Z&sig=hush")]
    store.datasets.add_dataset(a_dataset().model_copy(update={"sas_tokens": tokens}))
    store.queue.add_trainings([a_training()])
    found = findings(store, tmp_path)["data set digits:1"]
    remedy = "register this version again with a new one (midataset register)"
    assert (found.ok, found.text) == (False, f"the SAS token of {url} expired on 2026-01-02 03:04 UTC; {remedy}")
    status = read_status(store, {}, datetime.now(UTC))
    assert status.withheld == {"digits:1": found.text}
