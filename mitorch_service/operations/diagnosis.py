"""The checks of mitorch doctor."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mitorch_service.errors import BackendError, MiTorchError
from mitorch_service.settings import AzureMLCluster, ClusterConfig, Settings, read_settings
from mitorch_service.wiring import open_artifacts, open_backends, open_self_check, open_store

_TRAINING_PACKAGES = ("torch", "torchvision", "timm", "torchmetrics", "PIL")


@dataclass(frozen=True)
class Finding:
    """One thing checked; `text` says what was found, or what is wrong with the remedy."""

    what: str
    ok: bool
    text: str


def diagnose(seconds: float) -> list[Finding]:
    """Checks everything that the settings name, the parts at the same time and each for so long; one failure hides no
    other, and one that does not answer holds up none."""
    try:
        settings = read_settings()
    except MiTorchError as error:
        return [Finding("settings", False, str(error))]
    parts = [_Part(what, checks) for what, checks in _parts(settings)]
    end = time.monotonic() + seconds
    first = Finding("settings", True, f"home {settings.home}, {len(settings.clusters)} cluster(s)")
    return [first, *(finding for part in parts for finding in part.until(end, seconds)), _training()]


class _Part:
    """Checks that run one after the other in a thread of their own. The process does not wait for it at its end."""

    def __init__(self, what: str, checks: Callable[[], Iterator[Finding]]) -> None:
        self._what, self._checks = what, checks
        self._found: list[Finding] = []
        self._thread = threading.Thread(target=self._work, name=what, daemon=True)
        self._thread.start()

    def until(self, end: float, seconds: float) -> list[Finding]:
        """What was found by then; what was not is a finding as well."""
        self._thread.join(max(0.0, end - time.monotonic()))
        found = list(self._found)
        if self._thread.is_alive():
            after = f", after: {found[-1].what}" if found else ""
            remedy = "Check the network, proxy and firewall of this machine, or give it longer with --timeout."
            found.append(Finding(self._what, False, f"no answer within {seconds:g} s{after}. {remedy}"))
        return found

    def _work(self) -> None:
        try:
            for finding in self._checks():
                self._found.append(finding)
        except MiTorchError as error:
            self._found.append(Finding(self._what, False, str(error)))


def _parts(settings: Settings) -> Iterator[tuple[str, Callable[[], Iterator[Finding]]]]:
    yield "database", lambda: _database(settings)
    yield "storage", lambda: _storage(settings)
    for cluster in settings.clusters:
        yield f"cluster {cluster.name}", lambda c=cluster: _cluster(settings, c)  # type: ignore[misc]


def _database(settings: Settings) -> Iterator[Finding]:
    store = open_store(settings)
    engine = store.ping()
    store.prepare()
    datasets = len(store.datasets.list_datasets().items)
    text = f"{engine}; {sum(store.trainings.count_trainings().values())} trainings, {datasets} data sets"
    yield Finding("database", True, text)
    if settings.sqlite_path is not None:
        yield from _out_of_reach(settings, "database", "MITORCH_DB_URI to a MongoDB")


def _storage(settings: Settings) -> Iterator[Finding]:
    yield Finding("storage", True, f"writable, {open_artifacts(settings).check()}")
    if settings.storage_folder is not None:
        yield from _out_of_reach(settings, "storage", "MITORCH_STORAGE_URL to a blob container")


def _out_of_reach(settings: Settings, what: str, remedy: str) -> Iterator[Finding]:
    """A file of this machine, where the runs are on nodes of a cloud."""
    clouds = [cluster.name for cluster in settings.clusters if isinstance(cluster, AzureMLCluster)]
    if clouds:
        where = f"it is on this machine, where the nodes of {', '.join(clouds)} do not see it"
        yield Finding(f"{what} of the runs", False, f"{where}. Set {remedy}.")


def _cluster(settings: Settings, cluster: ClusterConfig) -> Iterator[Finding]:
    check = open_self_check(cluster)
    what, wrong = f"cluster {cluster.name}", False
    for part, answer in check.findings() if check is not None else ():
        wrong = wrong or isinstance(answer, BackendError)
        yield Finding(f"{what} {part}", not isinstance(answer, BackendError), _text(cluster, answer))
    if wrong:
        return  # the runs would only say the same again
    capacity = open_backends(settings)[cluster.name].capacity()
    nodes = "slots" if cluster.kind == "local" else "nodes"
    yield Finding(what, True, f"{cluster.kind}, {capacity.free} of {capacity.total} {nodes} free")


def _text(cluster: ClusterConfig, answer: str | BackendError) -> str:
    return str(answer).removeprefix(f"Cluster {cluster.name}: ")


def _training() -> Finding:
    missing = [name for name in _TRAINING_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        remedy = (
            "pip install 'mitorch-service[train]' where trainings are to run; a machine that only submits needs none"
        )
        return Finding("training packages", True, f"not here: {', '.join(missing)} ({remedy})")
    return Finding("training packages", True, "all installed")
