"""A settings file of obdb: what it asks for, how it is told what is wrong, and that its documents are queued once."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from mitorch_service.errors import AlreadyExists, InvalidInput
from mitorch_service.interop.obdb.variant_configs import variant_configs
from mitorch_service.models.config.legacy_formats import is_obdb
from mitorch_service.models.config.obdb import read_obdb
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.submission.group import Group, build_group, check_group, submit_group
from mitorch_service.submission.lookups import Lookups
from mitorch_service.submission.submission import Options, build_submission
from mitorch_service.training.loop.config_check import check_names
from tests.fakes import HookedStore
from tests.obdb_settings import SETTINGS
from tests.samples import CONFIG, NOW, SPACE, a_dataset

REMOVED = object()


def changed(**changes: Any) -> dict[str, Any]:
    """The file with some keys changed or removed."""
    return {key: value for key, value in {**SETTINGS, **changes}.items() if value is not REMOVED}


def asked(data: dict[str, Any]) -> dict[str, Any]:
    """The files of ours that it becomes."""
    file, problems = read_obdb(data)
    assert problems == []
    assert file is not None
    return variant_configs(file)


def group(store: Store, data: dict[str, Any], again: bool = False, **options: Any) -> Group:
    """The documents that it becomes."""
    with suppress(AlreadyExists):
        store.datasets.add_dataset(a_dataset("weeds"))
    chosen = Options(dataset=DatasetRef(name="weeds"), **options)
    submissions = check_group(
        Lookups(store), "settings_file.json", asked(data), chosen, lambda _, written: check_names(written)
    )
    return build_group(store, data, submissions, chosen, NOW, again, "variant")


def test_it_is_known_by_its_shape() -> None:
    assert is_obdb(SETTINGS)
    assert is_obdb(changed(variants=REMOVED))  # somebody has misspelt it
    assert not any(map(is_obdb, [CONFIG, {"job_type": "search", "variants": []}, {"script": {}, "variants": []}, {}]))


def test_a_variant_without_a_search_is_trained_with_its_settings_until_it_gets_no_better(store: Store) -> None:
    training = group(store, SETTINGS).documents["resnet18"]
    assert isinstance(training, Training)
    config = TrainingConfig.model_validate(training.config)
    assert config.model.name == "resnet18-fpn-fasterrcnn"
    assert config.model.pretrained
    assert config.task_type == "object_detection"
    assert (config.optimizer.name, config.optimizer.momentum) == ("sgd", 0.3317994388235662)
    assert config.optimizer.weight_decay == 0.5559432320028943
    scheduler = config.lr_scheduler
    assert (scheduler.name, scheduler.base_lr) == ("step", 3.934578332944719e-05)
    assert (scheduler.step_size, scheduler.step_gamma) == (3, 0.03376820338738614)
    assert config.early_stopping is not None
    assert (config.early_stopping.max_plateau_count, config.max_epochs) == (20, 10_000)
    assert config.keep_weights == "best"
    assert training.tags == ["variant=resnet18"]


def test_a_variant_with_a_search_becomes_one_and_its_winner_is_trained_on(store: Store) -> None:
    job = group(store, SETTINGS, tags=("a=b",), name="weeds").documents["resnet34"]
    assert isinstance(job, Job)
    assert (job.tags, job.name, str(job.dataset)) == (["a=b", "variant=resnet34"], "weeds", "weeds:1")
    search = job.search
    assert (search.algorithm, search.objective, search.direction) == ("gp", "val_loss", "minimize")
    assert (search.max_trials, search.initial_trials, search.early_stopping) == (16, 5, None)
    assert search.refit == {"max_epochs": 10_000, "early_stopping": {"max_plateau_count": 20}}
    assert job.config["max_epochs"] == 10
    assert job.config["model"]["name"] == "resnet34-fpn-fasterrcnn"
    assert job.config["optimizer"] == {
        "name": "sgd",
        "momentum": {"_loguniform": [0.1, 0.9]},
        "weight_decay": {"_loguniform": [0.00001, 0.9]},
    }
    assert job.config["lr_scheduler"] == {
        "name": "step",
        "base_lr": {"_loguniform": [0.000005, 0.001]},
        "step_size": {"_int": [1, 5]},
        "step_gamma": {"_loguniform": [0.01, 0.5]},
    }
    assert set(group(store, SETTINGS).documents) == {"resnet18", "resnet34"}  # not that which is no variant


def test_the_files_of_the_originals_repository_are_taken_too(store: Store) -> None:
    unset = dict.fromkeys(("gamma", "lr", "momentum", "step_size", "weight_decay"), False)
    found = {**SETTINGS["resnet18"]["optimal_hpo_settings"], "best_value": 0.14, "Trial-ID": 3}
    data = changed(
        variants=["retina_net", "resnet18"],
        retina_net={"run_hpo": True, "use_settings_file": 0, "optimal_hpo_settings": unset},
        resnet18={"run_hpo": False, "optimal_hpo_settings": found},
        max_train_epochs=7,
        num_initial_data_points="infer",
        full_hd=1,
        default_class_map=["Background", "Rape"],
        sherpa_parameters={**SETTINGS["sherpa_parameters"], "step_size": [3, 3]},
    )
    file, _ = read_obdb(data)
    assert file is not None
    assert file.ignored[-3:] == ["full_hd", "default_class_map", "retina_net.use_settings_file"]
    made = group(store, data).documents
    job, training = made["retina_net"], made["resnet18"]
    assert isinstance(job, Job)
    assert isinstance(training, Training)
    assert job.config["model"]["name"] == "resnet50-fpn-retinanet"
    assert job.config["lr_scheduler"]["step_size"] == 3
    assert job.search.initial_trials is None
    assert job.search.refit is not None
    assert (job.search.refit["max_epochs"], training.max_epochs) == (7, 7)


def test_what_the_format_does_not_say_may_be_changed(store: Store) -> None:
    data = changed(config={"batch_size": 2, "model": {"input_size": 64, "pretrained": False}, "keep_weights": None})
    for config in (document.config for document in group(store, data).documents.values()):
        assert (config["batch_size"], config["model"]["input_size"], config["model"]["pretrained"]) == (2, 64, False)
        assert "keep_weights" not in config
        assert config["model"]["options"] == {"trainable_backbone_layers": 5}
    whole = asked(changed(variants=["resnet18-fpn-fcos"], **{"resnet18-fpn-fcos": {"run_hpo": 1}}))
    assert whole["resnet18-fpn-fcos"]["config"]["model"]["name"] == "resnet18-fpn-fcos"


OPTIMAL = SETTINGS["resnet18"]["optimal_hpo_settings"]
RANGES = SETTINGS["sherpa_parameters"]
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no variants": ({"variants": REMOVED}, "variants: is required"),
    "an empty list": ({"variants": []}, "variants: must not be empty"),
    "no list": ({"variants": "resnet18"}, 'variants: must be a list […] (it is "resnet18")'),
    "no name": ({"variants": [3]}, 'variants[0]: must be a text in "quotes" (it is 3)'),
    "no entry": ({"resnet18": REMOVED}, 'resnet18: is one of the variants, but has no entry: add "resnet18"'),
    "no object": ({"resnet18": 1}, 'resnet18: must be an object such as {"run_hpo": 1}'),
    "no run_hpo": ({"resnet18": {}}, "resnet18.run_hpo: is required"),
    "another run_hpo": ({"resnet34": {"run_hpo": 2}}, "resnet34.run_hpo: must be 1 (search) or 0 (train with optimal_"),
    "a key of a variant": (
        {"resnet34": {"run_hpo": 1, "runhpo": 1}},
        "resnet34.runhpo: unknown key; did you mean 'run_h",
    ),
    "nothing to train with": (
        {"resnet18": {"run_hpo": 0}},
        "resnet18: run_hpo 0 needs optimal_hpo_settings: an object",
    ),
    "settings that are not set": (
        {"resnet18": {"run_hpo": 0, "optimal_hpo_settings": {**OPTIMAL, "lr": False}}},
        "resnet18.optimal_hpo_settings.lr: must be a number, not true or false (it is false)",
    ),
    "a key of the settings": (
        {"resnet18": {"run_hpo": 0, "optimal_hpo_settings": {**OPTIMAL, "gama": 1}}},
        "resnet18.optimal_hpo_settings.gama: unknown key; did you mean 'gamma'?",
    ),
    "a value": ({"max_plateau_count": 0}, "max_plateau_count: must be 1 or more (it is 0)"),
    "a plateau": ({"max_plateau_count": REMOVED}, "max_plateau_count: is required"),
    "no ranges": ({"sherpa_parameters": REMOVED}, "sherpa_parameters: is required, as resnet34 has run_hpo 1"),
    "no epochs": ({"search_epochs": REMOVED}, "search_epochs: is required, as resnet34 has run_hpo 1"),
    "no trials": ({"max_num_trials": REMOVED}, "max_num_trials: is required, as resnet34 has run_hpo 1"),
    "a range that falls": (
        {"sherpa_parameters": {**RANGES, "lr": [0.1, 0.01]}},
        "sherpa_parameters.lr: needs low <= high (it is [0.1, 0.01])",
    ),
    "a range from zero": (
        {"sherpa_parameters": {**RANGES, "weight_decay": [0, 0.9]}},
        "sherpa_parameters.weight_decay: needs low > 0, because the scale is logarithmic (it is [0, 0.9])",
    ),
    "half a step": (
        {"sherpa_parameters": {**RANGES, "step_size": [1, 2.5]}},
        "sherpa_parameters.step_size[1]: must be a whole number",
    ),
    "one number": (
        {"sherpa_parameters": {**RANGES, "gamma": 0.1}},
        "sherpa_parameters.gamma: must be a",
    ),
    "a misspelt key": ({"anotations_list": []}, "anotations_list: unknown key; did you mean 'annotations_list'?"),
    "the points before": (
        {"num_initial_data_points": "few"},
        "num_initial_data_points: must be a whole number",
    ),
}


@pytest.mark.parametrize(("changes", "told"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_told_in_its_own_words(changes: dict[str, Any], told: str) -> None:
    file, problems = read_obdb(changed(**changes))
    assert file is None
    assert [str(problem) for problem in problems if str(problem).startswith(told)], problems


def test_one_wrong_variant_is_told_and_nothing_is_queued(store: Store) -> None:
    data = changed(variants=["resnet34", "resnet19"], resnet19={"run_hpo": 1})
    with pytest.raises(InvalidInput, match=r"resnet19: config.model.name: there is no backbone 'resnet19'"):
        group(store, data)
    with pytest.raises(InvalidInput, match=r"resnet34: config.batch_sise: unknown key; did you mean 'batch_size'"):
        group(store, changed(config={"batch_sise": 2}))
    assert store.trainings.count_trainings() == {}
    assert store.jobs.active_jobs().items == []


def test_it_is_no_entry_of_many(store: Store) -> None:
    with pytest.raises(InvalidInput, match="of which several documents are made: submit it by itself"):
        build_submission(store, "line 1", SETTINGS, Options(), NOW)


def stored(store: Store) -> set[str]:
    """The ids of all that is queued."""
    return {job.id for job in store.jobs.active_jobs().items} | {row.id for row in store.queue.queue_head(100).items}


def ids(made: Group) -> set[str]:
    return {document.id for document in made.documents.values()}


def test_the_same_file_is_queued_once_and_again_only_if_that_is_said(store: Store) -> None:
    first = group(store, SETTINGS)
    assert submit_group(store, first) == 2
    repeat = group(store, dict(reversed(SETTINGS.items())))
    assert (ids(repeat), repeat.is_queued, submit_group(store, repeat)) == (ids(first), True, 0)
    second = group(store, SETTINGS, again=True)
    assert ids(second).isdisjoint(ids(first))
    assert submit_group(store, second) == 2
    assert ids(group(store, SETTINGS)) == ids(second)
    third = group(store, SETTINGS, again=True)
    assert submit_group(store, third) == 2
    assert stored(store) == ids(first) | ids(second) | ids(third)
    assert ids(group(store, SETTINGS, priority=5)).isdisjoint(stored(store))
    assert ids(group(store, changed(max_num_trials=17))).isdisjoint(stored(store))


def test_a_submission_that_was_cut_off_is_completed_by_the_next(store: Store) -> None:
    first = group(store, SETTINGS)
    writes = []

    def die(operation: str) -> None:
        writes.append(operation)
        if writes.count("insert") == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        submit_group(HookedStore(store, die), first)
    assert len(stored(store)) == 1
    for again in (False, True):  # it is not complete: this is no repeat
        following = group(store, SETTINGS, again=again)
        assert (ids(following), set(following.present), following.is_queued) == (ids(first), {"resnet18"}, False)
    assert submit_group(store, following) == 1
    assert stored(store) == ids(first)


def test_a_training_is_not_taken_for_a_search(store: Store) -> None:
    store.datasets.add_dataset(a_dataset())
    with pytest.raises(InvalidInput, match=r'base_lr: search-space expressions .* \{"job_type": "search", "config"'):
        build_submission(store, "training.json", SPACE, Options(dataset=DatasetRef(name="digits")), NOW)
