"""Checks what the settings name: database, storage, clusters and the training packages (`mitorch doctor`)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.base import Backend
from mitorch_service.backends.optional import HealthCheck
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.cluster_settings.cluster_kinds import ClusterConfig
from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster
from mitorch_service.controller.observe.withheld_data import read_datasets, withheld_data
from mitorch_service.controller.plan.cluster_backoff import ClusterBackoff
from mitorch_service.errors import BackendError, MissingExtra, MiTorchError, NoDatabase
from mitorch_service.models.heartbeat import missing_controller, pass_text
from mitorch_service.models.notification import WebhookState, webhook_text
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store
from mitorch_service.webhook_settings.webhook import Webhook
from mitorch_service.webhooks.reachability import unreachable
from mitorch_service.wording.counted import counted

_HEAD = 100  # trainings of the queue whose attempts tell which clusters cannot write
_WEBHOOK_SECONDS = 5.0
_ROOM = 256 << 10  # bytes
_TRAINING_PACKAGES = ("torch", "torchvision", "timm", "torchmetrics", "PIL")


@dataclass(frozen=True)
class Finding:
    """The result of one check; `text` is the state found, or the problem with its remedy."""

    what: str
    ok: bool
    text: str


@dataclass(frozen=True)
class Openers:
    """Builds the parts of the service that are checked; each may raise MiTorchError."""

    store: Callable[[Settings], Store]
    artifacts: Callable[[Settings], ArtifactStore]
    backends: Callable[[Settings], Mapping[str, Backend]]
    self_check: Callable[[ClusterConfig, Settings], HealthCheck | None]


def diagnose(read_settings: Callable[[], Settings], openers: Openers, seconds: float) -> list[Finding]:
    """Checks the settings and then all that they name, in parallel and for at most `seconds`: one failure hides no
    other, and a check that does not answer delays none."""
    try:
        settings = read_settings()
    except MiTorchError as error:
        return [Finding("settings", False, str(error))]
    _load(settings, openers)
    checks = [_Check(name, findings) for name, findings in _checks(settings, openers)]
    end = time.monotonic() + seconds
    first = Finding("settings", True, f"home {settings.home}, {counted(len(settings.clusters), 'cluster')}")
    return [first, *(finding for check in checks for finding in check.wait(end, seconds)), _training_packages()]


def _load(settings: Settings, openers: Openers) -> None:
    """Imports the clusters' SDKs before several threads would do so at the same time, outside of the checks' limit."""
    with suppress(MiTorchError):  # which a check tells
        for backend in openers.backends(settings).values():
            backend.load()


class _Check:
    """Runs the checks of one part in a daemon thread, which does not keep the process alive."""

    def __init__(self, name: str, findings: Callable[[], Iterator[Finding]]) -> None:
        self._name = name
        self._findings = findings
        self._found: list[Finding] = []
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wait(self, end: float, seconds: float) -> list[Finding]:
        """The findings up to the time `end`, with one more if the check has not ended by then."""
        self._thread.join(max(0.0, end - time.monotonic()))
        found = list(self._found)
        if self._thread.is_alive():
            after = f", after: {found[-1].what}" if found else ""
            remedy = "Check the network, proxy and firewall of this machine, or give it longer with --timeout."
            found.append(Finding(self._name, False, f"no answer within {seconds:g} s{after}. {remedy}"))
        return found

    def _run(self) -> None:
        try:
            for finding in self._findings():
                self._found.append(finding)
        except MiTorchError as error:
            self._found.append(Finding(self._name, False, str(error)))
        except Exception as error:  # noqa: BLE001 - else the thread would end and the part look well
            problem = f"{type(error).__name__}: {error}. This is a fault of mitorch doctor: please report it."
            self._found.append(Finding(self._name, False, problem))


def _checks(settings: Settings, openers: Openers) -> Iterator[tuple[str, Callable[[], Iterator[Finding]]]]:
    yield "database", partial(_database, settings, openers)
    yield "storage", partial(_storage, settings, openers)
    yield "temporary folder", _temporary_files
    yield "privacy", partial(_privacy, settings)
    for cluster in settings.clusters:
        yield f"cluster {cluster.name}", partial(_cluster, settings, openers, cluster)
    for webhook in settings.webhooks:
        yield f"webhook {webhook.name}", partial(_webhook, settings, openers, webhook)


def _database(settings: Settings, openers: Openers) -> Iterator[Finding]:
    try:
        store = openers.store(settings)
    except NoDatabase:
        yield _not_yet(settings)
    else:
        yield from _contents(store)
    if settings.sqlite_path is not None:
        yield from _out_of_reach(settings, "database", "MITORCH_DB_URI to a MongoDB")


def _contents(store: Store) -> Iterator[Finding]:
    engine = store.ping()
    store.prepare()
    store.check_writes()
    datasets = len(store.datasets.list_datasets().items)
    trainings = sum(store.trainings.count_trainings().values())
    text = f"{engine}; {counted(trainings, 'training')}, {counted(datasets, 'data set')}"
    yield Finding("database", True, text)
    yield from _controller(store)


def _not_yet(settings: Settings) -> Finding:
    """The finding on a database that the first submission will create, if it can."""
    path = settings.sqlite_path or settings.home
    folder = next(folder for folder in path.parents if folder.exists())
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        text = f"SQLite, {path}, is not there yet: the first misubmit or midataset register creates it"
        return Finding("database", True, text)
    return Finding(
        "database", False, f"SQLite, {path}, cannot be created: you may not write in {folder}. Set MITORCH_HOME."
    )


def _controller(store: Store) -> Iterator[Finding]:
    """The last pass of a controller, if something waits for the next one; the clusters whose runs cannot write, and the
    data sets of waiting trainings that cannot be read."""
    now = datetime.now(UTC)
    last = store.controllers.last_pass()
    queue, active = store.queue.queue_head(_HEAD).items, store.queue.active_trainings().items
    missing = missing_controller(last, now) if queue or active else None
    yield Finding("controller", missing is None, missing or pass_text(last, now))
    backoff = ClusterBackoff(now, queue, active)
    for name, text in backoff.blocked_clusters().items():
        yield Finding(f"runs on {name}", False, text)
    withheld = withheld_data(read_datasets(store, (row.dataset for row in queue)), now)
    for name, text in {**backoff.refused_data(), **withheld}.items():
        yield Finding(f"data set {name}", False, text)


def _storage(settings: Settings, openers: Openers) -> Iterator[Finding]:
    yield Finding("storage", True, f"writable, {openers.artifacts(settings).check()}")
    if settings.storage_folder is not None:
        yield from _out_of_reach(settings, "storage", "MITORCH_STORAGE_URL to a blob container")


def _temporary_files() -> Iterator[Finding]:
    """Writes a file where runs write theirs."""
    try:
        where = Path(tempfile.gettempdir())
        problem = _refuses_files(where)
    except OSError as error:  # there is none
        problem = error
    if problem is not None:
        remedy = "Make room on its disk, make it writable, or name another one in TMPDIR."
        yield Finding("temporary folder", False, f"cannot be written ({problem}). {remedy}")
        return
    yield Finding("temporary folder", True, f"writable, {where}, {shutil.disk_usage(where).free / 1e9:.1f} GB free")


def _refuses_files(folder: Path) -> OSError | None:
    """The error in writing a file there."""
    try:
        with tempfile.NamedTemporaryFile(prefix="mitorch-doctor-", dir=folder) as file:
            file.write(bytes(_ROOM))
            file.flush()
    except OSError as error:
        return error
    return None


def _privacy(settings: Settings) -> Iterator[Finding]:
    """Reports files and folders that others can read, as earlier versions made them."""
    others = stat.S_IRWXO | (stat.S_IRWXG if settings.shared_group is None else 0)
    for path in filter(None, (settings.home, settings.sqlite_path, settings.storage_folder)):
        with suppress(OSError):  # not there yet, or told by another check
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & others:
                remedy = f"chmod -R go= {path}, or share it with a group: MITORCH_SHARED_GROUP"
                yield Finding("privacy", True, f"{path} can be read by others (mode {mode:04o}): {remedy}")


def _out_of_reach(settings: Settings, what: str, remedy: str) -> Iterator[Finding]:
    """Reports a file of this machine that runs on a cloud's nodes need."""
    clouds = [cluster.name for cluster in settings.clusters if isinstance(cluster, AzureMLCluster)]
    if clouds:
        where = f"it is on this machine, where the nodes of {', '.join(clouds)} do not see it"
        yield Finding(f"{what} of the runs", False, f"{where}. Set {remedy}.")
    shared = [cluster.name for cluster in settings.clusters if isinstance(cluster, SlurmCluster)]
    if shared:
        locks = ", with working locks, which many network file systems do not have" if what == "database" else ""
        text = f"the nodes of {', '.join(shared)} must see it under the same path{locks}; or set {remedy}"
        yield Finding(f"{what} of the runs", True, text)


def _cluster(settings: Settings, openers: Openers, cluster: ClusterConfig) -> Iterator[Finding]:
    self_check = openers.self_check(cluster, settings)
    what = f"cluster {cluster.name}"
    failed = False
    for part, result in self_check.findings() if self_check is not None else ():
        ok = not isinstance(result, BackendError)
        failed = failed or not ok
        yield Finding(f"{what} {part}", ok, str(result).removeprefix(f"Cluster {cluster.name}: "))
    runs = settings.home / "runs"
    if cluster.kind == "local" and runs.is_dir() and (problem := _refuses_files(runs)) is not None:
        yield Finding(
            what, False, f"{runs} cannot be written ({problem}), so that no run starts. Make room on its disk."
        )
        return
    if failed:
        return  # asking for the capacity would only repeat the same error
    capacity = openers.backends(settings)[cluster.name].capacity()
    nodes = "slots" if cluster.kind == "local" else "nodes"
    yield Finding(what, True, f"{cluster.kind}, {capacity.free} of {capacity.total} {nodes} free")


def _webhook(settings: Settings, openers: Openers, webhook: Webhook) -> Iterator[Finding]:
    """Whether its host answers, which sends no message, and how it took the last notifications."""
    what = f"webhook {webhook.name}"
    problem = unreachable(webhook, _WEBHOOK_SECONDS)
    if problem is not None:
        remedy = "Check the address in MITORCH_WEBHOOKS, and the network of this machine."
        yield Finding(what, False, f"{webhook.host} cannot be reached ({problem}). {remedy}")
    try:
        store = openers.store(settings)
    except NoDatabase:
        state, counts = WebhookState(id=webhook.name), (0, 0)
    else:
        state = store.notifications.webhook_states([webhook.name])[webhook.name]
        counts = store.notifications.count(webhook.name)
    text = webhook_text(state, *counts, datetime.now(UTC))
    if state.failing_since is not None:
        yield Finding(what, False, f"{text}. Correct MITORCH_WEBHOOKS; `micontrol test-webhooks` shows the answer.")
    elif problem is None:
        test = "; `micontrol test-webhooks` sends a message"
        yield Finding(what, True, f"{webhook.kind}, {webhook.host}, {text}{'' if state.sent_at else test}")


def _training_packages() -> Finding:
    missing = [name for name in _TRAINING_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        command = MissingExtra.command("train")
        remedy = f"{command} where trainings are to run; a machine that only submits needs none"
        return Finding("training packages", True, f"not here: {', '.join(missing)} ({remedy})")
    return Finding("training packages", True, "all installed")
