"""Turns a message into a training in the queue, once, however often the message is delivered and whenever the consumer
is killed: each step can be done again, and the training is the last thing that is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import JsonValue

from mitorch_service.errors import InvalidInput
from mitorch_service.interop.vott.annotations.annotated_set import AnnotatedSet, AnnotatedSets
from mitorch_service.interop.vott.message import SOURCE, TrainingMessage, read_message, status_address, training_id
from mitorch_service.interop.vott.outgoing.destination import PutAddress, parse_destination
from mitorch_service.interop.vott.outgoing.storage_account import StorageAccount
from mitorch_service.interop.vott.plugins import Network, Plugins
from mitorch_service.interop.vott.training_configs import Wanted, named_by_message, network_wanted, plugin_config
from mitorch_service.models.base import JsonObject
from mitorch_service.models.callback import Callback, due_at
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store

DEFAULT_PLUGIN = "retinanet"


class Build(Protocol):
    """Checks a config and builds its training. Raises InvalidInput with every problem."""

    def __call__(
        self,
        id: str,
        config: Mapping[str, JsonValue],
        dataset: DatasetRef | None,
        *,
        name: str | None = None,
        tags: tuple[str, ...] = (),
        priority: int | None = None,
    ) -> Training: ...


# Registers a data set's files, once, under a name or one that follows from the content; returns the version.
Register = Callable[[str | None, AnnotatedSet, JsonObject], DatasetRef]


@dataclass(frozen=True)
class Accepted:
    """The training of a message. `is_new`: it was queued now, not by an earlier delivery."""

    id: str
    is_new: bool
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Acceptance:
    """Accepts messages of one queue."""

    queue: str  # its address, which is part of the trainings' ids
    store: Store
    sets: AnnotatedSets
    plugins: Plugins
    register: Register
    build: Build
    default_plugin: str = DEFAULT_PLUGIN
    clusters: tuple[str, ...] | None = None  # the only ones that see this machine's files; None: all
    accounts: tuple[StorageAccount, ...] = ()  # in which models are stored without a SAS

    def accept(self, message_id: str, body: bytes, stopped: Callable[[], bool]) -> Accepted:
        """Queues the training of a message, with its data set before it.

        Raises InvalidInput, Refused and other MiTorchErrors for what can never work; Unavailable for what may work
        later; StoreUnavailable and ArtifactError for trouble of ours.
        """
        id = training_id(self.queue, message_id, body)
        if self.store.imports.imported([id]):
            return Accepted(id, False)
        message = read_message(body)
        plugin = self.plugins.find(message.plugin or self.default_plugin)
        self.store.prepare()
        if isinstance(plugin, Network):
            training, remarks = self._with_network(id, message_id, message, plugin, stopped)
        else:  # which calls the addresses of the message itself
            training, remarks = self.build(id, plugin_config(message, plugin), None, tags=_tags(message)), ()
        self.store.queue.add_trainings([training])
        return Accepted(id, True, remarks)

    def reject(self, message_id: str, body: bytes, reason: str) -> None:
        """Notes that whoever waits for the status of a message that becomes no training is told the reason."""
        id, status = training_id(self.queue, message_id, body), status_address(body)
        if status is None or self.store.imports.imported([id]):
            return
        self.store.prepare()
        callback = self._callback(id, message_id, status, None).model_copy(update={"rejected": reason})
        if not self.store.callbacks.add_callback(callback):
            self.store.callbacks.reject_callback(id, reason)

    def _with_network(
        self, id: str, message_id: str, message: TrainingMessage, network: Network, stopped: Callable[[], bool]
    ) -> tuple[Training, tuple[str, ...]]:
        wanted = network_wanted(message, network, self.clusters)
        model = message.values.get("model")
        target = parse_destination(model, self.accounts) if isinstance(model, str) else None
        self._check(id, wanted, message)
        assert message.annotations is not None  # checked with what is wanted
        self.sets.check(message.annotations)
        for address in (message.status, target.address if isinstance(target, PutAddress) else None):
            if address is not None:
                self.sets.check(address)
        made = self.sets.make(message.annotations, wanted.box_format, stopped)
        facts = {"system": "vott", "annotations": mask_secrets(str(message.annotations)), "facts": list(made.remarks)}
        dataset = self.register(wanted.dataset, made, facts)
        training = self._built(id, wanted, dataset, _tags(message))
        status = None if message.status is None else message.status.whole
        if status is not None or isinstance(model, str):
            self.store.callbacks.add_callback(self._callback(id, message_id, status, model))
        training = training.model_copy(update={"reports_steps": status is not None})
        return training, (f"data set {dataset}", *made.remarks, *wanted.remarks)

    def _check(self, id: str, wanted: Wanted, message: TrainingMessage) -> None:
        """Raises InvalidInput for all that is wrong but the data, before anything is downloaded."""
        problems = list(wanted.problems)
        try:
            self._built(id, wanted, None, ())
        except InvalidInput as error:
            found = [one for one in error.problems if not one.path.startswith("dataset")]
            problems += [named_by_message(one, message) for one in found]
        if problems:
            raise InvalidInput(SOURCE, problems)

    def _built(self, id: str, wanted: Wanted, dataset: DatasetRef | None, tags: tuple[str, ...]) -> Training:
        every = (*tags, *wanted.tags)
        return self.build(
            id, wanted.config, dataset, name=wanted.name, tags=tuple(dict.fromkeys(every)), priority=wanted.priority
        )

    def _callback(self, id: str, message_id: str, status: str | None, model: JsonValue) -> Callback:
        now: datetime = self.store.now()
        return Callback(
            id=id,
            source=f"{self.queue}, message {message_id}",
            status_url=status,
            model_url=model if isinstance(model, str) else None,
            created_at=now,
            due=due_at(now),
        )


def _tags(message: TrainingMessage) -> tuple[str, ...]:
    return ("source=vott", *message.tags)
