"""misubmit with exp_config.json of TensorFlow's object detection: finds its data, its compute, and queues it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import click
from pydantic import JsonValue

from mitorch_service.artifacts.datastore_container import DatastoreContainer
from mitorch_service.cli.submission.submit_one import explain_one, queue_document
from mitorch_service.cli.views.slow_storage import told_if_slow
from mitorch_service.cluster_settings.azureml_cluster import CreateProfile
from mitorch_service.errors import BackendError, InvalidInput, Problem
from mitorch_service.interop.exp_config.exp_config_file import ExpConfig, read_exp_config
from mitorch_service.interop.exp_config.run_place import VM_SIZE, ChosenPlace, choose_place
from mitorch_service.interop.exp_config.shared_images import shared_images
from mitorch_service.interop.exp_config.training_configs import run_tags, training_config, unused_keys
from mitorch_service.interop.exp_config.use_case_files import IMAGES, VERSIONS, UseCaseFiles, mounted_files
from mitorch_service.interop.exp_config.version_pair import VersionPair, choose_pair
from mitorch_service.interop.exp_config.workspace_file import WorkspaceFile, read_workspace
from mitorch_service.models.base import new_id
from mitorch_service.models.dataset import DatasetRef, DatasetSplit
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store
from mitorch_service.submission.lookups import Lookups
from mitorch_service.submission.submission import Options, check_submission
from mitorch_service.wiring import open_compute_creation, open_config_checks, open_dataset_registry, open_datastores

Found = TypeVar("Found")


@dataclass(frozen=True)
class _Versions:
    """The chosen files of a use case."""

    files: UseCaseFiles
    pair: VersionPair


def queue_exp_config(
    store: Store,
    settings: Settings,
    source: str,
    data: dict[str, JsonValue],
    folder: Path,
    options: Options,
    *,
    explain: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Queues or explains the file; returns the exit code. Everything is checked before a compute is created, a data set
    registered or anything queued. Raises InvalidInput with every problem, BackendError, DataError, ArtifactError."""
    exp, workspace = _read(source, data, folder)
    named = options.dataset or exp.dataset
    mounted = None if named else mounted_files(exp.DATA_MOUNT, exp.IMAGE_TYPE, folder)
    chosen = _checked(source, *_place(exp, workspace, settings, bool(named or mounted)))
    versions = None if named else _versions(source, exp, mounted or _in_datastore(source, exp, chosen))
    train, test = (versions.pair.train, versions.pair.test) if versions else (str(named), str(named))
    planned = named or DatasetRef(name=exp.IMAGE_TYPE)
    checks = open_config_checks(settings, folder, upload=not explain, storing=told_if_slow(settings))
    config, now = training_config(exp, chosen.place), store.now()
    lookups = Lookups(store, lambda: now, planned=None if named else planned)
    submission = check_submission(lookups, source, config, planned, checks)
    options = replace(options, tags=tuple(dict.fromkeys((*run_tags(exp, train, test), *options.tags))))
    for remark in (*(_pair_remarks(versions) if versions else ()), *_remarks(exp, chosen)):
        click.echo(f"{source}: {remark}", err=True)
    if not explain:
        _create_compute(source, settings, exp, chosen)
        if versions is not None:
            submission = replace(submission, dataset=_register(source, settings, exp, versions, chosen))
    document = submission.to_document(new_id(), options, now)
    if explain:
        explain_one(document, store, as_json)
        return 0
    return queue_document(store, document, wait, as_json)


def _read(source: str, data: dict[str, JsonValue], folder: Path) -> tuple[ExpConfig, WorkspaceFile | None]:
    file, problems = read_exp_config(data)
    workspace, name = None, data.get("ENV_CONFIG_FILE")
    if isinstance(name, str) and name and "\0" not in name:
        workspace, wrong = read_workspace(name, folder)
        problems += wrong
    if problems or file is None:
        raise InvalidInput(source, problems)
    if file.ignored:
        click.echo(f"{source}: without a meaning here: {', '.join(file.ignored)}", err=True)
    return file.settings, workspace


def _place(
    exp: ExpConfig, workspace: WorkspaceFile | None, settings: Settings, local_data: bool
) -> tuple[ChosenPlace | None, list[Problem]]:
    return choose_place(exp, workspace, settings.clusters, local_data, settings.clusters_given)


def _checked(source: str, found: Found | None, problems: Sequence[Problem]) -> Found:
    if found is None:
        raise InvalidInput(source, problems)
    return found


class DatastoreFiles(UseCaseFiles):
    """The use case's files in a datastore of the workspace."""

    def __init__(self, container: DatastoreContainer, use_case: str) -> None:
        self._container = container
        self._folder = f"{use_case}/{VERSIONS}"
        self._root = f"azureml://{container.datastore.name}/{use_case}"
        self.where = f"{self._root}/{VERSIONS}"

    def names(self) -> list[str]:
        below = (name.removeprefix(f"{self._folder}/") for name in self._container.below(self._folder))
        return sorted(name for name in below if "/" not in name)

    def lines(self, name: str) -> Iterator[str]:
        return self._container.lines(f"{self._folder}/{name}", "utf-8")

    def split(self, name: str) -> DatasetSplit:
        return DatasetSplit(path=f"{self.where}/{name}", support_files=[f"{self._root}/{IMAGES}/"])


def _in_datastore(source: str, exp: ExpConfig, chosen: ChosenPlace) -> UseCaseFiles:
    if chosen.azure is None:
        problem = f"there is no folder {exp.DATA_MOUNT}/{exp.IMAGE_TYPE}/{VERSIONS}, and the cluster has no datastores"
        raise InvalidInput(source, [Problem("DATA_MOUNT", problem)])
    try:
        datastore = open_datastores(chosen.azure).datastore(exp.DATA_MOUNT)
    except BackendError as error:
        if error.__class__ is not BackendError:  # it cannot be reached now
            raise
        raise InvalidInput(source, [Problem("DATA_MOUNT", str(error))]) from error
    return DatastoreFiles(DatastoreContainer(datastore), exp.IMAGE_TYPE)


def _versions(source: str, exp: ExpConfig, files: UseCaseFiles) -> _Versions:
    pair = choose_pair(exp.IMAGE_TYPE, exp.TRAIN_CSV, exp.TEST_CSV, files.names(), files.where)
    return _Versions(files, _checked(source, *pair))


def _pair_remarks(versions: _Versions) -> Iterator[str]:
    files, pair = versions.files, versions.pair
    yield f"train set {pair.train}, test set {pair.test}"
    if not pair.is_of_one_version:
        yield shared_images(files.lines(pair.train), files.lines(pair.test)).remark(pair.train, pair.test)


def _remarks(exp: ExpConfig, chosen: ChosenPlace) -> Iterator[str]:
    if unused := unused_keys(exp):
        yield f"without a meaning for {exp.MODEL_PARAMS.BASE_MODEL}, which has no first stage: {', '.join(unused)}"
    if chosen.azure is None and chosen.place.cluster is None:
        yield f"no cluster is called {exp.COMPUTE_NAME}: it runs on any that there is"
    if chosen.azure is None and exp.DOCKER_IMAGE is not None:
        yield "DOCKER_IMAGE is for Azure ML; elsewhere it runs in the environment of the cluster"


def _create_compute(source: str, settings: Settings, exp: ExpConfig, chosen: ChosenPlace) -> None:
    if chosen.azure is None or not chosen.may_create:
        return
    name = chosen.place.compute or chosen.azure.compute
    size = VM_SIZE if chosen.azure.create is None else chosen.azure.create.vm_size
    profile = CreateProfile(vm_size=size, max_nodes=exp.NODES)
    if open_compute_creation(chosen.azure, settings).create_compute(name, profile):
        click.echo(f"{source}: the compute {name} is being created: up to {exp.NODES} of {size}", err=True)


def _register(source: str, settings: Settings, exp: ExpConfig, versions: _Versions, chosen: ChosenPlace) -> DatasetRef:
    """The data set's version with these files: new, or as it was registered before."""
    splits = {"train": versions.files.split(versions.pair.train), "val": versions.files.split(versions.pair.test)}
    registry = open_dataset_registry(settings, None if chosen.azure is None else chosen.azure.name)
    origin: dict[str, JsonValue] = {"system": "exp_config", "source": versions.files.where}
    done = registry.register_content(source, exp.IMAGE_TYPE, splits, origin)
    click.echo(f"{source}: {'is registered already as' if done.present else 'registered'} {done.ref}", err=True)
    return done.ref
