"""The checks of mitorch doctor."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mitorch_service.errors import MiTorchError
from mitorch_service.settings import ClusterConfig, Settings, read_settings
from mitorch_service.wiring import open_artifacts, open_backends, open_store

_TRAINING_PACKAGES = ("torch", "torchvision", "timm", "torchmetrics", "PIL")


@dataclass(frozen=True)
class Finding:
    """One thing checked; `text` says what was found, or what is wrong with the remedy."""

    what: str
    ok: bool
    text: str


def diagnose() -> list[Finding]:
    """Checks everything that the settings name; one failure hides no other."""
    try:
        settings = read_settings()
    except MiTorchError as error:
        return [Finding("settings", False, str(error))]
    return list(_findings(settings))


def _findings(settings: Settings) -> Iterator[Finding]:
    yield Finding("settings", True, f"home {settings.home}, {len(settings.clusters)} cluster(s)")
    yield _check("database", lambda: _database(settings))
    yield _check("storage", lambda: f"writable, {open_artifacts(settings).check()}")
    for cluster in settings.clusters:
        yield _check(f"cluster {cluster.name}", lambda c=cluster: _cluster(settings, c))  # type: ignore[misc]
    yield _training()


def _check(what: str, call: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, call())
    except MiTorchError as error:
        return Finding(what, False, str(error))


def _database(settings: Settings) -> str:
    store = open_store(settings)
    engine = store.ping()
    store.prepare()
    datasets = len(store.list_datasets().items)
    return f"{engine}; {sum(store.count_trainings().values())} trainings, {datasets} data sets"


def _cluster(settings: Settings, cluster: ClusterConfig) -> str:
    capacity = open_backends(settings)[cluster.name].capacity()
    what = "slots" if cluster.kind == "local" else "nodes"
    return f"{cluster.kind}, {capacity.free} of {capacity.total} {what} free"


def _training() -> Finding:
    missing = [name for name in _TRAINING_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        remedy = (
            "pip install 'mitorch-service[train]' where trainings are to run; a machine that only submits needs none"
        )
        return Finding("training packages", True, f"not here: {', '.join(missing)} ({remedy})")
    return Finding("training packages", True, "all installed")
