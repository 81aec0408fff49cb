"""A script is checked and its code kept before anything is queued."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.controller.plan.search.expansion import expand
from mitorch_service.errors import InvalidInput
from mitorch_service.insights.explanation import explanation
from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Training
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.submission.submission import Options, build_submission
from mitorch_service.wiring import open_config_checks
from tests.job_states import a_study
from tests.samples import NOW, a_dataset

SCRIPT: dict[str, Any] = {"script": {"command": "python a.py {parameters}", "source": "code"}, "parameters": {"lr": 1}}
SPACE: dict[str, Any] = {**SCRIPT, "parameters": {"lr": {"_loguniform": [0.1, 1]}, "kind": {"_choice": ["a", "b"]}}}
JOB: dict[str, Any] = {"job_type": "search", "config": SPACE, "search": {"max_trials": 3, "seed": 1}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the config, with its code beside it."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("print(1)")
    return tmp_path


def submitted(store: Store, folder: Path, data: dict[str, Any], upload: bool = True) -> Training | Job:
    """The document that the file asks for."""
    settings = read_settings({"MITORCH_HOME": str(folder / "home")})
    return build_submission(store, "my.json", data, Options(), NOW, open_config_checks(settings, folder, upload))


def problems(store: Store, folder: Path, data: dict[str, Any]) -> dict[str, str]:
    """The problems of the file, by path."""
    with pytest.raises(InvalidInput) as caught:
        submitted(store, folder, data)
    return {problem.path: problem.message for problem in caught.value.problems}


def archives(folder: Path) -> list[str]:
    """The code that is kept."""
    return FolderArtifactStore(folder / "home" / "artifacts").keys("code/")


def test_the_code_is_kept_with_the_training(store: Store, folder: Path) -> None:
    document = submitted(store, folder, SCRIPT)
    assert isinstance(document, Training)
    assert (document.dataset, document.max_epochs) == (NO_DATASET, 0)
    assert [document.config["script"]["code"]["archive"]] == archives(folder)
    assert document.config["script"]["command"] == ["python", "a.py", "{parameters}"]
    store.queue.add_trainings([document])
    assert store.trainings.get_training(document.id) == document


def test_the_code_of_a_job_is_that_of_its_trials(store: Store, folder: Path) -> None:
    document = submitted(store, folder, JOB)
    assert isinstance(document, Job)
    trials = expand(document, a_study(document), None, 0, NOW)
    (archive,) = archives(folder)
    assert {trial.config["script"]["code"]["archive"] for trial in trials} == {archive}
    assert all(set(trial.config["parameters"]) == {"lr", "kind"} for trial in trials)
    assert all(
        trial.trial is not None and set(trial.trial.parameters) == {"parameters.lr", "parameters.kind"}
        for trial in trials
    )


def test_code_that_is_given_is_not_read_again(store: Store, folder: Path) -> None:
    first = submitted(store, folder, SCRIPT)
    (folder / "code" / "a.py").write_text("print(2)")
    assert submitted(store, folder, first.config).config == first.config
    assert submitted(store, folder, SCRIPT).config != first.config
    assert len(archives(folder)) == 2


def test_explaining_keeps_nothing_and_shows_no_credential(store: Store, folder: Path) -> None:
    data = {**SCRIPT, "script": {**SCRIPT["script"], "env": {"MY_TOKEN": "hush"}}}
    document = submitted(store, folder, data, upload=False)
    assert archives(folder) == []
    lines = explanation(document)
    assert json.loads(lines[1])["script"]["env"] == {"MY_TOKEN": "***"}
    assert lines[2].startswith("code: code/")


def test_a_data_set_is_pinned_where_one_is_named(store: Store, folder: Path) -> None:
    store.datasets.add_dataset(a_dataset())
    assert str(submitted(store, folder, {**SCRIPT, "dataset": "digits"}).dataset) == "digits:1"
    assert "is not registered" in problems(store, folder, {**SCRIPT, "dataset": "letters"})["dataset"]


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_a_file_of_a_data_set_needs_one_that_has_it(store: Store, folder: Path, name: str) -> None:
    store.datasets.add_dataset(a_dataset())
    script = {"command": f"python a.py --on={{{name}}} {{parameters}}", "source": "code"}
    training, job = {**SCRIPT, "script": script}, {**JOB, "config": {**SPACE, "script": script}}
    why = f'{{{name}}} is a file of the data set, and the config has no dataset: add "dataset": "NAME", or write '
    assert problems(store, folder, training)["script.command"].startswith(why + f"{{{{{name}}}}} for the text")
    assert problems(store, folder, job)["config.script.command"].startswith(why)
    for document in (training, job):
        if name == "test":
            found = problems(store, folder, {**document, "dataset": "digits"})
            assert "the data set digits:1 has none: remove it, or write {{test}} for" in str(found)
        else:
            assert submitted(store, folder, {**document, "dataset": "digits"})
    literal = {**script, "command": f"python a.py {{{{{name}}}}} --on={{{{{name}}}}}"}
    assert submitted(store, folder, {**SCRIPT, "script": literal})


def test_a_parameter_has_one_spelling(store: Store, folder: Path) -> None:
    lr: dict[str, Any] = {"_loguniform": [0.1, 1]}
    for both in ({"opt.lr": lr, "opt": {"lr": lr}}, {"opt.lr": 1, "opt": {"lr": lr}}):
        found = problems(store, folder, {**JOB, "config": {**SPACE, "parameters": both}})
        assert list(found) == ["config.parameters.opt.lr"]
        assert "is the name of two parameters" in found["config.parameters.opt.lr"]
    for one in ({"opt.lr": lr}, {"opt": {"lr": lr}}):
        document = submitted(store, folder, {**JOB, "config": {**SPACE, "parameters": one}})
        assert isinstance(document, Job)
        assert "parameters.opt.lr" in str(explanation(document))


def test_any_objective_may_be_reported(store: Store, folder: Path) -> None:
    document = submitted(store, folder, {**JOB, "search": {"max_trials": 1, "objective": "reward"}})
    assert isinstance(document, Job)
    assert document.search.direction == "maximize"


def test_what_is_wrong_is_told_with_its_place(store: Store, folder: Path) -> None:
    missing = {**SCRIPT, "script": {**SCRIPT["script"], "source": "missing"}}
    assert "does not exist" in problems(store, folder, missing)["script.source"]
    assert (
        "does not exist"
        in problems(store, folder, {**JOB, "config": {**SPACE, **missing, "parameters": SPACE["parameters"]}})[
            "config.script.source"
        ]
    )
    searched = {"command": "x", "source": {"_choice": ["code", "code"]}}
    assert (
        "cannot be searched"
        in problems(store, folder, {**JOB, "config": {**SPACE, "script": searched}})["config.script.source"]
    )
    wrong = {**SPACE, "script": {"command": "x", "env": {"A": {"_choice": [1, "b"]}}}}
    assert 'must be a text in "quotes"' in problems(store, folder, {**JOB, "config": wrong})["config.script.env.A"]
    assert archives(folder) == []


def test_without_a_keeper_a_source_is_refused(store: Store) -> None:
    def check(config: object, written: object) -> list[Any]:
        return []

    with pytest.raises(InvalidInput, match="submit the script with misubmit"):
        build_submission(store, "my.json", SCRIPT, Options(), NOW, check)


def test_resources_are_checked_as_of_a_training(store: Store, folder: Path) -> None:
    settings = read_settings({"MITORCH_HOME": str(folder), "MITORCH_CLUSTERS": '[{"name": "here", "kind": "local"}]'})
    data = {**SCRIPT, "resources": {"cluster": "there"}}
    with pytest.raises(InvalidInput, match="'there' is not in MITORCH_CLUSTERS"):
        build_submission(store, "my.json", data, Options(), NOW, open_config_checks(settings, folder))


@pytest.mark.parametrize("data", [SPACE, {**SCRIPT, "parameters": {"deep": {"lr": {"_uniform": "wrong"}}}}])
def test_a_space_without_a_search_is_refused(store: Store, folder: Path, data: dict[str, Any]) -> None:
    ((path, message),) = problems(store, folder, data).items()
    assert path in ("parameters.lr, parameters.kind", "parameters.deep.lr")
    assert 'write {"job_type": "search"' in message
    assert archives(folder) == []
