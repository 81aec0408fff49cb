"""The artifact store that is found through a workspace, with a real container."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mitorch_service import wiring
from mitorch_service.backends.optional import DatastoreRegistry
from mitorch_service.backends.run_settings import RunSettings, known_settings
from mitorch_service.errors import ArtifactError, BackendError, MissingExtra
from mitorch_service.file_access import PRIVATE
from mitorch_service.models.blob_storage.datastore import Datastore
from mitorch_service.operations.workspace_storage import WorkspaceStorage
from mitorch_service.settings import Settings, read_settings
from tests.azurite_server import ACCOUNT, KEY, Azurite
from tests.samples import NOW

FIVE = {  # docs/mitorch.md; the database is of no matter here
    "MITORCH_AZURE_SUBSCRIPTION_ID": "33333333-3333-3333-3333-333333333333",
    "MITORCH_AML_WORKSPACE": "vision",
    "MITORCH_AML_COMPUTE": "gpu-low",
    "MITORCH_AML_AUTH": "22222222-2222-2222-2222-222222222222:PASSWORD",
}


class Workspace(DatastoreRegistry):
    """A workspace with this default datastore, or one that does not answer."""

    def __init__(self, default: Datastore) -> None:
        self.default: Datastore | BackendError = default
        self.asked = 0

    def datastores(self) -> list[Datastore]:
        raise NotImplementedError

    def datastore(self, name: str) -> Datastore:
        raise NotImplementedError

    def default_datastore(self) -> Datastore:
        self.asked += 1
        if isinstance(self.default, BackendError):
            raise self.default
        return self.default

    def register_datastore(self, datastore: Datastore) -> None:
        raise NotImplementedError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({**FIVE, "MITORCH_HOME": str(tmp_path / "home")})


def storage_in(settings: Settings, workspace: Workspace) -> WorkspaceStorage:
    assert settings.storage_cluster is not None
    cache = settings.home / "cache" / "workspace_storage.json"
    return WorkspaceStorage(settings.storage_cluster, cache, PRIVATE, lambda cluster: workspace, lambda: NOW)


def a_workspace(url: str = "https://acct.blob.core.windows.net", container: str = "blobs", key: str = KEY) -> Workspace:
    return Workspace(Datastore("workspaceblobstore", url, container, key=key))


def test_artifacts_lie_in_the_workspace_and_older_ones_in_the_folder(
    azurite: Azurite, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = azurite.new_container()
    workspace = a_workspace(f"http://{azurite.host}/{ACCOUNT}", container.container_name)
    monkeypatch.setattr(wiring, "open_datastores", lambda cluster: workspace)
    artifacts = wiring.open_artifacts(settings)
    source, target = tmp_path / "model.pth", tmp_path / "back.pth"
    source.write_bytes(b"weights")
    older = settings.home / "artifacts" / "old" / "model.pth"
    older.parent.mkdir(parents=True)
    older.write_bytes(b"older")
    assert artifacts.exists("old/model.pth")
    assert workspace.asked == 0  # what is on this machine needs no workspace
    address = artifacts.put("new/model.pth", source)
    assert address == azurite.url(container.container_name, "mitorch-artifacts/new/model.pth")
    assert artifacts.path_for_runs("new/model.pth").startswith(
        f"{address}?"
    )  # the token that the workspace's key signs
    assert list(container.list_blob_names()) == ["mitorch-artifacts/new/model.pth"]
    assert [artifacts.keys("new/"), artifacts.keys("old/")] == [["new/model.pth"], ["old/model.pth"]]
    for key, content in (("new/model.pth", b"weights"), ("old/model.pth", b"older")):
        artifacts.get(key, target)
        assert target.read_bytes() == content
    artifacts.put("old/model.pth", source)
    artifacts.get("old/model.pth", target)
    assert target.read_bytes() == b"weights"
    environment = wiring.run_environment(settings)
    assert environment["MITORCH_STORAGE_URL"].startswith(azurite.url(container.container_name, "mitorch-artifacts?"))
    assert read_settings(dict(environment)).storage_cluster is None  # a run has an address
    assert workspace.asked == 1
    assert [artifacts.delete("old/"), artifacts.delete("new/"), older.exists()] == [2, 1, False]
    assert not artifacts.exists("new/model.pth")
    assert not artifacts.check().partition("until")[0].partition("?")[2]
    wiring.open_artifacts(settings, anew=True).check()
    assert workspace.asked == 2


def test_the_address_is_kept_for_a_day_without_the_key(settings: Settings) -> None:
    workspace = a_workspace()
    storage = storage_in(settings, workspace)
    url = storage.url()
    assert url.startswith("https://acct.blob.core.windows.net/blobs/mitorch-artifacts?")
    assert storage.url() == url
    assert workspace.asked == 1
    assert stat.S_IMODE(storage.cache.stat().st_mode) == 0o600
    assert KEY not in storage.cache.read_text()
    later = replace(storage, clock=lambda: NOW + timedelta(days=2))
    assert later.url() != url
    assert workspace.asked == 2
    other = replace(later, cluster=storage.cluster.model_copy(update={"workspace": "other"}))
    other.url()
    assert workspace.asked == 3  # what is known of one workspace is not another's


def test_a_workspace_that_does_not_answer(settings: Settings) -> None:
    workspace = a_workspace()
    storage = storage_in(settings, workspace)
    down = BackendError("gpu-low", "sign-in failed", "Correct MITORCH_AML_AUTH.")
    workspace.default, known = down, workspace.default
    with pytest.raises(
        ArtifactError, match=r"workspace vision: sign-in failed\. Correct .* Or set MITORCH_STORAGE_URL"
    ):
        storage.url_of_artifacts()
    workspace.default = known
    url = storage.url()
    workspace.default = down
    assert replace(storage, clock=lambda: NOW + timedelta(days=20)).url() == url  # its token is good for a year
    with pytest.raises(BackendError, match="sign-in failed"):
        replace(storage, clock=lambda: NOW + timedelta(days=400)).url()
    storage.cache.write_text("{}")
    with pytest.raises(BackendError, match="sign-in failed"):
        storage.url()


def test_an_identity_where_the_datastore_has_no_key(settings: Settings) -> None:
    url = storage_in(settings, a_workspace(key="")).url()
    assert url == "https://acct.blob.core.windows.net/blobs/mitorch-artifacts"


def test_a_missing_package_is_an_error_of_the_cluster(settings: Settings) -> None:
    def open_nothing(cluster: object) -> DatastoreRegistry:
        raise MissingExtra("azure-ai-ml", "azure")

    storage = replace(storage_in(settings, a_workspace()), open_datastores=open_nothing)
    with pytest.raises(BackendError, match="azure-ai-ml"):
        storage.url()


def test_settings_that_name_a_storage_ask_no_workspace(settings: Settings, tmp_path: Path) -> None:
    named = read_settings({**FIVE, "MITORCH_HOME": str(tmp_path), "MITORCH_STORAGE_URL": str(tmp_path / "files")})
    assert [named.storage_cluster, named.storage_folder] == [None, tmp_path / "files"]
    assert [read_settings({}).storage_cluster, settings.storage_folder] == [None, None]
    assert wiring.run_environment(named)["MITORCH_STORAGE_URL"] == str(tmp_path / "files")


def test_the_settings_of_a_run_are_asked_for_when_they_are_read() -> None:
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        return "there"

    settings = RunSettings({"A": "a", "B": "folder"}, {"B": ask})
    assert [sorted(settings), len(settings), known_settings(settings), known_settings({"A": "a"}), asked] == [
        ["A", "B"],
        2,
        {"A": "a", "B": "folder"},
        {"A": "a"},
        [],
    ]
    assert dict(settings) == {"A": "a", "B": "there"}
