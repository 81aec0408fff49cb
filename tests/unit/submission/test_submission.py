"""From a file to a document: checked wholly before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.base import new_id
from mitorch_service.models.config.script import AnyConfig
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.submission.submission import Options, build_submission, parse_tags, submit
from tests.samples import CONFIG, NOW, SPACE, a_dataset, a_training

FILE = {**CONFIG, "dataset": "digits"}
JOB_FILE: dict[str, Any] = {"job_type": "search", "dataset": "digits", "config": SPACE, "search": {"max_trials": 4}}


@pytest.fixture
def store() -> Iterator[Store]:
    """A store in which three data sets are registered."""
    store = SqliteStore(None)
    for name, version in (("digits", 1), ("digits", 10), ("digits", 9), ("letters", 1)):
        store.datasets.add_dataset(a_dataset(name, version))
    yield store
    store.close()


def training(store: Store, data: dict[str, Any], options: Options = Options()) -> Training:  # noqa: B008 - it is frozen
    """The training that the file asks for."""
    document = build_submission(store, "my.json", data, options, NOW)
    assert isinstance(document, Training)
    return document


def job(store: Store, **fields: Any) -> Job:
    """The job that a good job file, except for some fields, asks for."""
    document = build_submission(store, "my.json", {**JOB_FILE, **fields}, Options(), NOW)
    assert isinstance(document, Job)
    return document


def problems(store: Store, data: dict[str, Any], options: Options = Options()) -> dict[str, str]:  # noqa: B008
    """The problems of the file, by path."""
    with pytest.raises(InvalidInput, match=r"^my\.json: ") as caught:
        build_submission(store, "my.json", data, options, NOW)
    assert store.trainings.count_trainings() == {}
    assert store.jobs.list_jobs(1).items == []
    found = caught.value.problems
    assert len(set(found)) == len(found)  # nothing is told twice
    return {problem.path: problem.message for problem in found}


def space_problems(store: Store, **fields: Any) -> dict[str, str]:
    """The problems of a job whose config is valid except for some fields."""
    return problems(store, {**JOB_FILE, "config": {**SPACE, **fields}})


def test_a_training_is_new_and_keeps_what_was_written() -> None:
    store = SqliteStore(None)
    store.datasets.add_dataset(a_dataset())
    options = Options(priority=-3, name="mine", tags=("a=b", "c=d"))
    document = training(store, {**FILE, "max_retries": 2}, options)
    assert (document.status, document.status_times, document.created_at) == (TrainingStatus.NEW, {"new": NOW}, NOW)
    assert (document.priority, document.name, document.tags) == (-3, "mine", ["a=b", "c=d"])
    assert (document.max_epochs, document.max_retries) == (3, 2)
    assert document.config == {**CONFIG, "max_retries": 2}  # no default is frozen into it
    assert store.trainings.count_trainings() == {}
    submit(store, document)
    assert store.trainings.get_training(document.id) == document
    store.close()


@pytest.mark.parametrize(("optimizer", "rate"), [({}, 0.01), ({"optimizer": {"name": "adamw"}}, 0.001)])
def test_a_model_alone_is_trained_with_defaults_that_its_document_names(
    store: Store, optimizer: dict[str, Any], rate: float
) -> None:
    document = training(store, {"model": "resnet18", "dataset": "digits", **optimizer})
    assert document.config == {
        "model": {"name": "resnet18"},
        "lr_scheduler": {"name": "cosine", "base_lr": rate},
        "max_epochs": 30,
        **optimizer,
    }
    assert document.max_epochs == 30
    config = {"model": {"_choice": ["resnet18", "resnet34"]}, **optimizer}
    assert job(store, config=config).config == {**config, "max_epochs": 30}


def test_a_file_submitted_twice_is_two_trainings_a_document_only_one(store: Store) -> None:
    one, two = training(store, FILE), training(store, FILE)
    for document in (one, two, two):
        assert submit(store, document) == document.id
    assert store.trainings.count_trainings() == {"new": 2}
    assert one.arrival < two.arrival


@pytest.mark.parametrize(
    ("written", "given", "pinned"),
    [
        ("digits", None, "digits:10"),
        ("digits:9", None, "digits:9"),
        ({"name": "digits", "version": 1}, None, "digits:1"),
        ("digits:1", "letters", "letters:1"),
        (None, "digits", "digits:10"),
    ],
)
def test_the_version_of_the_data_set_is_pinned(store: Store, written: Any, given: str | None, pinned: str) -> None:
    data = CONFIG if written is None else {**CONFIG, "dataset": written}
    options = Options(dataset=None if given is None else DatasetRef.parse(given))
    assert str(training(store, data, options).dataset) == pinned


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("digit", "did you mean"),
        ("digits:2", "'digits:2' is not registered; did you mean 'digits:"),
        ("zzz", "'zzz' is not registered; registered: digits:10, digits:9, digits:1, letters:1"),
    ],
)
def test_an_unregistered_data_set_names_those_that_are(store: Store, name: str, hint: str) -> None:
    message = problems(store, {**CONFIG, "dataset": name})["dataset"]
    assert hint in message
    assert "registered: digits:10, digits:9, digits:1, letters:1" in message


def test_with_an_empty_registry_the_way_to_fill_it_is_named() -> None:
    store = SqliteStore(None)
    assert "midataset register" in problems(store, FILE)["dataset"]
    store.close()


@pytest.mark.parametrize("data", [CONFIG, {key: JOB_FILE[key] for key in ("job_type", "config", "search")}])
def test_a_data_set_is_needed(store: Store, data: dict[str, Any]) -> None:
    assert "is required" in problems(store, data)["dataset"]


def test_a_wrong_data_set_is_told_once(store: Store) -> None:
    for wrong in ("digits:x", 7):
        with pytest.raises(InvalidInput, match=r"^my\.json: 1 problem\n  dataset: "):
            build_submission(store, "my.json", {**CONFIG, "dataset": wrong}, Options(), NOW)


def test_a_base_must_be_a_completed_training(store: Store) -> None:
    ended = a_training(status=TrainingStatus.COMPLETED)
    store.queue.add_trainings([ended])
    assert training(store, {**FILE, "base": ended.id.upper()}).config["base"] == ended.id


def test_a_base_that_does_not_exist_is_told(store: Store) -> None:
    assert "there is no training" in problems(store, {**FILE, "base": new_id()})["base"]


def test_a_base_that_has_not_completed_is_told(store: Store) -> None:
    other = a_training(status=TrainingStatus.FAILED)
    store.queue.add_trainings([other])
    with pytest.raises(InvalidInput, match="is failed; only a completed one has weights"):
        build_submission(store, "my.json", {**FILE, "base": other.id}, Options(), NOW)


def test_many_errors_are_told_at_once(store: Store) -> None:
    data = {**CONFIG, "dataset": "zzz", "base": new_id(), "batch_size": 0, "extra": 1}
    assert set(problems(store, data)) == {"dataset", "base", "batch_size", "extra"}


def test_what_the_engine_knows_is_asked_too(store: Store) -> None:
    def check(config: AnyConfig | None, written: Mapping[str, Any]) -> list[Problem]:
        return [Problem("model.name", f"{written['model']['name']} is too slow")]

    with pytest.raises(InvalidInput, match=r"model\.name: test_resnet is too slow"):
        build_submission(store, "my.json", FILE, Options(), NOW, check)
    with pytest.raises(InvalidInput, match=r"config\.model\.name: test_resnet is too slow"):
        build_submission(store, "my.json", JOB_FILE, Options(), NOW, check)
    with pytest.raises(InvalidInput, match=r"(?s)batch_size: .*model\.name: test_resnet is too slow"):
        build_submission(store, "my.json", {**FILE, "batch_size": 0}, Options(), NOW, check)
    wrong_job: dict[str, Any] = {**JOB_FILE, "config": {**SPACE, "batch_size": 0}}
    with pytest.raises(InvalidInput, match=r"(?s)batch_size: .*config\.model\.name: test_resnet is too slow"):
        build_submission(store, "my.json", wrong_job, Options(), NOW, check)


def test_a_job_is_new_and_its_search_is_settled(store: Store) -> None:
    document = job(store, search={"max_trials": 4, "seed": 3, "objective": "top1_accuracy"})
    assert (document.status, document.config, str(document.dataset)) == (JobStatus.NEW, SPACE, "digits:10")
    assert (document.search.seed, document.search.direction) == (3, "maximize")
    submit(store, document)
    assert store.jobs.get_job(document.id) == document


def test_a_seed_is_drawn_where_none_is_given(store: Store) -> None:
    seeds = {job(store).search.seed for _ in range(5)}
    assert None not in seeds
    assert len(seeds) > 1
    assert job(store).search.direction == "minimize"


def test_the_data_set_of_a_job_may_stand_in_its_config(store: Store) -> None:
    data = {"job_type": "search", "config": {**SPACE, "dataset": "letters"}, "search": {"max_trials": 1}}
    assert str(training_or_job(store, data).dataset) == "letters:1"


def test_a_job_without_anything_to_search_is_refused(store: Store) -> None:
    assert "there is nothing to search" in problems(store, {**JOB_FILE, "config": CONFIG})["config"]


def test_every_branch_of_a_choice_is_checked(store: Store) -> None:
    wrong = space_problems(
        store,
        optimizer={
            "_choice": [
                {"name": "sgd", "momentum": {"_uniform": [0.5, 1.5]}},
                {"name": "adam", "beta": 1},
                {"name": "adamw", "weight_decay": {"_choice": [0, {"_loguniform": [1e-5, 1e-2]}, "none"]}},
            ]
        },
        batch_size={"_int": [0, 64]},
    )
    assert set(wrong) == {
        "config.optimizer.momentum",
        "config.optimizer.beta",
        "config.optimizer.weight_decay",
        "config.batch_size",
    }
    assert "(it is 1.5)" in wrong["config.optimizer.momentum"]


def test_a_whole_number_must_be_drawn_where_one_is_needed(store: Store) -> None:
    assert "config.batch_size" in space_problems(store, batch_size={"_uniform": [1.5, 8.5]})


def test_wrong_expressions_are_told_with_their_paths(store: Store) -> None:
    wrong = space_problems(store, batch_size={"_int": [9, 1]}, seed={"_choose": [1]})
    assert set(wrong) == {"config.batch_size", "config.seed"}


def test_what_is_wrong_beside_a_wrong_expression_is_told_too(store: Store) -> None:
    options = [{"name": "sgd", "momentum": {"_uniform": [2, 1]}}, {"name": "adam", "beta": 1}]
    wrong = space_problems(store, optimizer={"_choice": options}, batch_size=0)
    assert set(wrong) == {"config.optimizer[0].momentum", "config.optimizer.beta", "config.batch_size"}


def test_a_base_in_a_space_is_looked_up(store: Store) -> None:
    assert "there is no training" in space_problems(store, base={"_choice": [new_id(), None]})["config.base"]


def test_an_objective_that_nothing_measures_is_told(store: Store) -> None:
    wrong = problems(store, {**JOB_FILE, "search": {"max_trials": 1, "objective": "top1_acuracy"}})
    assert "did you mean 'top1_accuracy'?" in wrong["search.objective"]


def test_the_errors_of_a_job_and_of_its_config_are_told_at_once(store: Store) -> None:
    data = {"job_type": "grid", "dataset": "zzz", "config": {**SPACE, "batchsize": 1}, "search": {"max_trials": 0}}
    assert set(problems(store, data)) == {"job_type", "dataset", "config.batchsize", "search.max_trials"}


@pytest.mark.parametrize("config", [None, [], {}, "x"])
def test_a_job_needs_a_config(store: Store, config: Any) -> None:
    assert any(path.startswith("config") for path in problems(store, {**JOB_FILE, "config": config}))


def test_tags_are_keys_with_values_each_once() -> None:
    assert parse_tags(["a=b", "c=d=e", "a=b", "f="]) == ("a=b", "c=d=e", "f=")
    with pytest.raises(InvalidInput) as caught:
        parse_tags(["a=b", "novalue", "=x", " =x"])
    assert [problem.path for problem in caught.value.problems] == ["novalue", "=x", " =x"]


def training_or_job(store: Store, data: dict[str, Any]) -> Training | Job:
    """Whatever the file asks for."""
    return build_submission(store, "my.json", data, Options(), NOW)


@pytest.mark.parametrize("priority", [2**31, -(2**31) - 1, 10**30, True, "5"])
def test_a_priority_that_no_database_orders_by_is_refused(priority: Any) -> None:
    with pytest.raises(InvalidInput, match=r"--priority.*\n.*must be a whole number from -2147483648 to 2147483647"):
        Options(priority=priority)
