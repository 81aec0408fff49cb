"""The queue consumer as a whole: it accepts messages, and delivers what their trainings become."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.errors import DATABASE_TROUBLE, ArtifactError, InvalidInput, SettingsError, StoreError
from mitorch_service.interop.vott.acceptance import DEFAULT_PLUGIN, Acceptance, Build
from mitorch_service.interop.vott.annotations.annotated_set import AnnotatedSet, AnnotatedSets, SetLimits
from mitorch_service.interop.vott.annotations.stored_set import KEYS, SetStorage
from mitorch_service.interop.vott.consumer import Consumer
from mitorch_service.interop.vott.consumer_settings import ConsumerSettings
from mitorch_service.interop.vott.image_reach import image_reach
from mitorch_service.interop.vott.outgoing.deliveries import Deliveries
from mitorch_service.interop.vott.outgoing.delivery import Delivery
from mitorch_service.interop.vott.plugins import Plugins
from mitorch_service.interop.vott.queues.base import QueueUnavailable
from mitorch_service.interop.vott.queues.opening import open_queue
from mitorch_service.interop.vott.web.exchange import Web
from mitorch_service.interop.vott.web.image_store import ImageLimits, ImageStore
from mitorch_service.models.base import JsonObject
from mitorch_service.models.dataset import DatasetRef, DatasetSplit
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store

# (name, digest, splits of this machine, the same elsewhere, where they come from) -> the registered version
RegisterFiles = Callable[
    [str | None, str, Mapping[str, DatasetSplit], Mapping[str, DatasetSplit] | None, JsonObject], DatasetRef
]

_LOOK_SECONDS = 1.0  # between two looks at callbacks of which some were due
_IDLE_SECONDS = 3.0
_TROUBLE_SECONDS = 15.0


@dataclass(frozen=True)
class VottService:
    """A consumer and its deliveries, on one store."""

    consumer: Consumer
    deliveries: Deliveries
    store: Store
    wait_seconds: float
    tell: Callable[[str], object]
    stop: threading.Event
    web: Web

    @classmethod
    def open(
        cls,
        asked: ConsumerSettings,
        settings: Settings,
        store: Store,
        artifacts: ArtifactStore,
        register: RegisterFiles,
        build: Build,
        tell: Callable[[str], object],
    ) -> Self:
        """Connects to the queue. Raises SettingsError, MissingExtra, QueueUnavailable, QueueError."""
        plugins = Plugins(asked.plugins)
        _check_plugin(plugins, asked)
        if asked.plugin_url:
            tell("VOTT_KEEP_PLUGIN_URL is not read: put the plugin's folder below MITORCH_VOTT_PLUGINS")
        queue, web, stop = open_queue(asked), Web(asked.allowed), threading.Event()
        reach = image_reach(settings)
        storage = _set_storage(settings, artifacts, stop, tell) if reach.stored else None

        def register_set(name: str | None, made: AnnotatedSet, facts: JsonObject) -> DatasetRef:
            here = {
                key: DatasetSplit(path=str(path), support_files=[str(made.labels)]) for key, path in made.splits.items()
            }
            if storage is None:
                return register(name, made.digest, here, None, facts)
            stored = storage.store(made)
            return register(name, stored.digest, here, stored.splits, facts)

        acceptance = Acceptance(
            queue=queue.name,
            store=store,
            sets=_sets(asked, settings, web),
            plugins=plugins,
            register=register_set,
            build=build,
            default_plugin=asked.default_plugin or DEFAULT_PLUGIN,
            clusters=reach.clusters,
            accounts=asked.accounts,
        )
        delivery = Delivery(store, artifacts, web, tell, asked.accounts)
        return cls(
            consumer=Consumer(queue, acceptance, tell, stop, asked.renew_seconds),
            deliveries=Deliveries(store, delivery, tell),
            store=store,
            wait_seconds=asked.wait_seconds,
            tell=tell,
            stop=stop,
            web=web,
        )

    def run_once(self) -> None:
        """Accepts what is in the queue, and delivers what is due. Raises QueueUnavailable, QueueError, StoreError."""
        with self.deliveries, self._ending_requests():
            self.store.prepare()
            while not self.stop.is_set() and self.consumer.take():
                pass
            self.deliveries.finish_due()
        self.consumer.queue.close()

    def run(self) -> None:
        """Goes on until `stop` is set. Waits for a queue and a database that do not answer. Raises QueueError if the
        queue refuses."""
        with self.deliveries, self._ending_requests():
            delivering = threading.Thread(target=self._deliver, name="deliveries", daemon=True)
            delivering.start()
            try:
                while not self.stop.is_set():
                    if not self._take():
                        self.stop.wait(self.wait_seconds)
            finally:
                self.stop.set()
                delivering.join(timeout=60)
        self.consumer.queue.close()

    @contextmanager
    def _ending_requests(self) -> Iterator[None]:
        """Ends what waits for other machines once `stop` is set: a container is killed if it takes long to end."""

        def watch() -> None:
            self.stop.wait()
            self.web.end()

        threading.Thread(target=watch, name="stop", daemon=True).start()
        try:
            yield
        finally:
            self.stop.set()

    def _take(self) -> bool:
        """Returns whether there was a message. None is taken while the database is away: each time would count."""
        try:
            self.store.prepare()
            self.store.ping()
            return self.consumer.take() > 0
        except (*DATABASE_TROUBLE, QueueUnavailable) as error:
            self.tell(str(error))
            return False

    def _deliver(self) -> None:
        pause = 0.0
        while not self.stop.wait(pause):
            try:
                pause = _LOOK_SECONDS if self.deliveries.begin_due() else _IDLE_SECONDS
            except StoreError as error:
                self.tell(f"deliveries: {error}")
                pause = _TROUBLE_SECONDS


def _sets(asked: ConsumerSettings, settings: Settings, web: Web) -> AnnotatedSets:
    images = ImageStore(
        settings.home / "vott" / "images",
        web,
        ImageLimits(asked.max_image_bytes, asked.request_seconds),
        settings.file_access,
    )
    limits = SetLimits(asked.max_file_bytes, asked.max_images, asked.max_total_bytes, asked.request_seconds)
    return AnnotatedSets(web, images, settings.home / "datasets" / "vott", limits, settings.file_access)


def _set_storage(
    settings: Settings, artifacts: ArtifactStore, stop: threading.Event, tell: Callable[[str], object]
) -> SetStorage:
    """Finds out whether there is a store before a message is taken. Raises SettingsError, MissingExtra."""
    try:
        artifacts.path_for_runs(KEYS)
    except ArtifactError as error:  # a workspace that does not answer: it is asked again
        tell(f"{error}. Messages with annotations wait for it")
    return SetStorage(artifacts, settings.home / "datasets" / "vott", settings.file_access, stop.is_set)


def _check_plugin(plugins: Plugins, asked: ConsumerSettings) -> None:
    if asked.default_plugin is not None:
        try:
            plugins.find(asked.default_plugin)
        except InvalidInput as error:
            problem = error.problems[0].message
            remedy = "Name one of these, or leave it out."
            raise SettingsError("VOTT_KEEP_PLUGIN_NAME", problem, remedy) from None
