"""A catalogue of mistakes: what was done, what is said, the exit code. None changes anything."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from mitorch_service.settings import read_settings
from mitorch_service.stores.verbs.trainings import TrainingFilter
from mitorch_service.wiring import open_store
from tests.acceptance.conftest import Machine, _furnish
from tests.acceptance.digits import TINY_SEARCH, TINY_TRAINING

_NOT_OURS = re.compile(
    r"Traceback|This is a bug|Input should|valid (dictionary|list|string|integer|number)|instance of|pydantic|errno",
    re.IGNORECASE,
)
_LONG = "x" * 300


@dataclass(frozen=True)
class Mistake:
    """A command with its file and settings, and the words that it must say."""

    arguments: Sequence[str]
    said: str
    code: int = 2
    content: Any = None  # of the file `wrong.json`
    settings: tuple[tuple[str, str], ...] = ()


def training(said: str, **changes: Any) -> Mistake:
    """A training config that is wrong in one place; None takes a key away."""
    config = {**TINY_TRAINING, **changes}
    return Mistake(["submit", "wrong.json"], said, content={k: v for k, v in config.items() if v is not None})


def search(said: str, config: dict[str, Any] | None = None, **changes: Any) -> Mistake:
    """A job config that is wrong in its search, or in the `config` of its trainings."""
    job = copy.deepcopy(TINY_SEARCH)
    job["search"].update(changes)
    job["config"].update(config or {})
    return Mistake(["submit", "wrong.json"], said, content=job)


def submitted(said: str, content: Any) -> Mistake:
    return Mistake(["submit", "wrong.json"], said, content=content)


def registered(said: str, content: Any) -> Mistake:
    return Mistake(["dataset", "register", "wrong.json"], said, content=content)


def called(line: str, said: str, code: int = 2, **settings: str) -> Mistake:
    return Mistake(line.split(), said, code, settings=tuple(settings.items()))


SPLITS = {"train": {"path": "digits/train.txt"}, "val": {"path": "digits/val.txt"}}
METRICS = "val_loss, top1_accuracy, top5_accuracy, average_precision, precision, recall, f1"

GROUPS: dict[str, list[Mistake]] = {
    "numbers and words of a training config": [
        training('batch_size: must be a whole number (it is "many")', batch_size="many"),
        training("batch_size: must be a whole number (it is 1.5)", batch_size=1.5),
        training("batch_size: must be 1 or more (it is 0)", batch_size=0),
        training("batch_size: must be a number, not true or false (it is true)", batch_size=True),
        training("max_epochs: must be 100000 or less (it is 1000000000.0)", max_epochs=1e9),
        training("model.input_size: must be 8 or more (it is -1)", model={"name": "test_resnet", "input_size": -1}),
        training(
            'lr_scheduler.base_lr: must be a number (it is "fast")',
            lr_scheduler={"name": "cosine", "base_lr": "fast"},
        ),
        training(
            "lr_scheduler.base_lr: must be more than 0 (it is -1)", lr_scheduler={"name": "cosine", "base_lr": -1}
        ),
        training("optimizer.momentum: must be less than 1 (it is 2)", optimizer={"name": "sgd", "momentum": 2}),
        training('on_divergence: "explode" is not known; known: fail, lower_lr', on_divergence="explode"),
        training("resources.gpus: must be 0 or more (it is -1)", resources={"gpus": -1}),
    ],
    "names in a training config": [
        training("optimzer: unknown key; did you mean 'optimizer'? known: ", optimzer={}),
        training("model.nme: unknown key; did you mean 'name'?", model={"nme": "test_resnet"}),
        training("model.name: timm has no model 'resnet81'; did you mean 'resnet18'", model={"name": "resnet81"}),
        training("optimizer.name: there is no optimizer 'adamm'; did you mean 'adam'", optimizer={"name": "adamm"}),
        training(
            "optimizer: the learning rate is not set here: write it as lr_scheduler.base_lr",
            optimizer={"name": "adamw", "lr": 0.1},
        ),
        training(
            "lr_scheduler.name: \"cosin\" is not known; did you mean 'cosine'? known: ",
            lr_scheduler={"name": "cosin", "base_lr": 0.1},
        ),
        training(
            "task_type: 'clasification' is not known; did you mean 'multiclass_classification' or "
            "'multilabel_classification'? known: ",
            task_type="clasification",
        ),
        training("did you mean 'horizontal_flip'?", augmentation={"train": ["horizontal_flipp"], "val": "resize"}),
        training("resources.gpu: unknown key; did you mean 'gpus'?", resources={"gpu": 1}),
        training("model: must be an object {…} with the keys input_size, name, ", model=5),
        training("dataset: 'digit' is not registered; did you mean 'digits:1'? registered: digits:1", dataset="digit"),
        training("dataset: 'digits:7' is not registered; did you mean 'digits:1'?", dataset="digits:7"),
        training("dataset: the version 'x' is not a number: write NAME or NAME:NUMBER", dataset="digits:x"),
        training("dataset: names no data set: write NAME or NAME:NUMBER", dataset=":"),
        training('dataset: is required: write "dataset": "NAME"', dataset=None),
        training('1 problem\n  base: must be the GUID of a training (it is "123")', base="123"),
    ],
    "searches": [
        search("search.algorithm: \"bayes\" is not known; did you mean 'gp' or 'tpe'? known: ", algorithm="bayes"),
        search("did you mean 'nsga2'?", algorithm="genetic"),
        search(
            f"search.objective: 'accuracy' is not measured; did you mean 'top1_accuracy'? known: {METRICS}",
            objective="accuracy",
        ),
        search("'loss' is not measured; did you mean 'val_loss'?", objective="loss"),
        search("search.direction: \"up\" is not known; did you mean 'maximize'?", direction="up"),
        search("search.max_trials: must be 1 or more (it is 0)", max_trials=0),
        search("search.max_trial: unknown key; did you mean 'max_trials'?", max_trial=3),
        search('search.max_time: must be seconds, or a number with s, m, h or d, such as "2h"', max_time="2 hours"),
        search("did you mean 'asha'? known: ", early_stopping={"rule": "ashaa"}),
        search("config.batch_size: _choise is no expression; known: _choice", {"batch_size": {"_choise": [1]}}),
        search("config.batch_size: _choice needs a list of one option or more", {"batch_size": {"_choice": []}}),
        search("config.batch_size: _int needs low < high (it is [5, 1])", {"batch_size": {"_int": [5, 1]}}),
        submitted("job_type: \"serch\" is not known; did you mean 'search'?", {**TINY_SEARCH, "job_type": "serch"}),
        submitted("search: is required", {"job_type": "search", "config": TINY_TRAINING}),
    ],
    "scripts": [
        submitted("script.command: must not be empty", {"script": {"command": ""}}),
        submitted("script.comand: unknown key; did you mean 'command'?", {"script": {"comand": "x"}}),
        submitted("script: must be an object {…} with the keys ", {"script": "python x.py"}),
        submitted("the placeholder {trian} is not known; known: ", {"script": {"command": "python {trian}"}}),
        submitted(f"{_LONG} cannot be read: File name too long", {"script": {"command": "x", "source": _LONG}}),
        submitted("there is no such user on this machine", {"script": {"command": "x", "source": "~nobody_/x"}}),
        submitted(
            "'a\\n' cannot be an argument: use letters, digits, _ . and -",
            {"script": {"command": "x"}, "parameters": {"a\n": 1}},
        ),
    ],
    "definitions of data sets": [
        registered("must be a list [{…}] of one definition or more", {"name": "x"}),
        registered("[0]: must be an object {…} with the keys name, test, train, val, version", ["x"]),
        registered("[0].name: must begin with a letter or digit", [{"name": "x/y", "version": 1, **SPLITS}]),
        registered("[0].name: must begin with a letter or digit", [{"name": "x\n", "version": 1, **SPLITS}]),
        registered('[0].version: must be a whole number (it is "1")', [{"name": "x", "version": "1", **SPLITS}]),
        registered(
            "[0].val: must be an object {…} with the keys path, support_files",
            [{"name": "x", "version": 1, **SPLITS, "val": "v.txt"}],
        ),
        registered(
            "[0].train.path: there is no file or folder ",
            [{"name": "x", "version": 1, **SPLITS, "train": {"path": _LONG}}],
        ),
        registered(
            "~nobody_/x",
            [{"name": "x", "version": 1, **SPLITS, "train": {"path": "~nobody_/x"}}],
        ),
        registered("[0].version: digits:1 is registered already", [{"name": "digits", "version": 1, **SPLITS}]),
    ],
    "arguments": [
        called("submit", "Give either CONFIG or --many SOURCE."),
        called("submit nowhere.json", "nowhere.json: 1 problem\n  cannot be read: No such file or directory"),
        called(f"submit {_LONG}", "is too long: 255 bytes a name, 4095 in all."),
        called("submit training.json --priority high", "'--priority': must be a whole number (it is 'high')"),
        called("submit training.json --prority 3", "No such option '--prority'. Did you mean '--priority'?"),
        called("submit training.json --tag x", "x: write KEY=VALUE, such as team=vision"),
        called("submit training.json --dataset :", "--dataset: 1 problem\n  ':': names no data set: write NAME"),
        called("submit training.json --dataset digits:one", "the version 'one' is not a number"),
        called("submit --many digits", "digits (1 of 1 config is wrong; nothing was queued): 1 problem"),
        called("query --status complete", "'complete' is not known; did you mean 'completed'? known: new, queued"),
        called("query --limit many", "must be a whole number (it is 'many')"),
        called("query --tag x", "--tag: 1 problem\n  'x': write KEY=VALUE"),
        called("query --dataset :", "--dataset: 1 problem\n  ':': names no data set"),
        called("query zzz", "There is no training or job 'zzz'. Give an id, the beginning of one, or a whole name", 1),
        called("dataset show nope", "There is no data set 'nope'. Registered: digits:1.", 1),
        called("dataset show :", "NAME: 1 problem\n  ':': names no data set"),
        called("dataset remove digits", "name the version to remove, such as digits:1"),
        called(f"dataset register {_LONG}", "is too long"),
        called("control run --every nan", "must be a finite number (it is 'nan')"),
        called("control run --every 1e300", "must be 0.05 or more and 1000000 or less (it is 1e+300)"),
        called("control prune --older-than 1d", "Give --archive FILE to keep what is pruned in a file"),
        called("control prune --older-than 1 --delete", "1: write a whole number and h (hours), d (days)"),
        called("control status --since 3d", "--since belongs to --cost."),
        called("control cancel --tag x", "Invalid value for --tag: 'x': write KEY=VALUE, such as team=vision"),
        called("doctor --timeout nan", "must be a finite number (it is 'nan')"),
        called("completion tcsh", "Invalid value for 'SHELL': 'tcsh' is not known; known: bash, zsh, fish"),
        called("train wrong.json digits nowhere", "wrong.json: 1 problem\n  cannot be read"),
        called("test training.json digits/val.txt -w nowhere.pth", "nowhere.pth does not exist", 1),
    ],
    "orders that a status does not allow": [
        called("control retry {training}", "is new: it cannot be retried. It has not ended.", 1),
        called("control delete {training}", "is new: it cannot be deleted. Cancel it first.", 1),
        called("control logs {training}", "There is no log of training '", 1),
        called("control logs {job}", "It is a job: give the id of one of its trials.", 1),
        called("control delete {job}", "is new: it cannot be deleted. Cancel it first.", 1),
        called("control register-model {training} --name x", "Only a completed training has a model.", 1),
        called("control priority {training} high", "Invalid value for 'N': must be a whole number (it is 'high')"),
        called("control priority {training} 99999999999", "and 2147483647 or less (it is 99999999999)"),
        called("control cancel --job {training} --yes", "is no job: it cannot be chosen by --job.", 1),
    ],
    "settings": [
        called("query", "MITORCH_DB_URI: the scheme 'postgres' is not known. Write", MITORCH_DB_URI="postgres://x"),
        called("query", "MITORCH_CLUSTERS: must be a list", MITORCH_CLUSTERS="{}"),
        called("query", "[0].kind: 'locl' is not known; known: local", MITORCH_CLUSTERS='[{"name":"a","kind":"locl"}]'),
        called("query", "[0].slots: must be 0 or more (it is -1)", MITORCH_CLUSTERS='[{"name":"a","slots":-1}]'),
        called("query", "[0].name: is required", MITORCH_CLUSTERS='[{"slots":1}]'),
        called("query", "MITORCH_STORAGE_URL: the scheme 's3' is not known", MITORCH_STORAGE_URL="s3://x"),
        called("query", "MITORCH_HOME: ~nobody_ is no home folder of this machine", MITORCH_HOME="~nobody_/x"),
        called("query", "MITORCH_STORAGE_URL: ~nobody_ is no home", MITORCH_STORAGE_URL="~nobody_"),
        called("query", "MITORCH_DB_URI: the path contains the character NUL", MITORCH_DB_URI="sqlite:////a%00b"),
        called("query", "MITORCH_CLUSTERS: ~nobody_ is no home", MITORCH_CLUSTERS="~nobody_/x"),
        called("query", "MITORCH_DB_NAME: 'a.b' is not a valid name", MITORCH_DB_NAME="a.b"),
    ],
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """One machine for all mistakes: none of them may change it."""
    return _furnish(Machine(tmp_path_factory.mktemp("machine"), {}))


@pytest.fixture(scope="module")
def ids(shared: Machine) -> dict[str, str]:
    """A training and a job that wait."""
    return {
        "training": shared.ok("submit", "training.json"),
        "job": shared.ok("submit", shared.write("search.json", TINY_SEARCH)),
    }


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_said(shared: Machine, ids: dict[str, str], group: str) -> None:
    before = contents(shared)
    wrong = []
    for mistake in GROUPS[group]:
        if mistake.content is not None:
            shared.write("wrong.json", mistake.content)
        else:
            (shared.folder / "wrong.json").unlink(missing_ok=True)
        arguments = [ids.get(word.strip("{}"), word) for word in mistake.arguments]
        answer = shared.run(*arguments, **dict(mistake.settings))
        if (answer.code, answer.out) != (mistake.code, "") or mistake.said not in answer.err:
            wrong.append(f"{arguments}: {mistake.said!r} ({mistake.code}), but: {answer}")
        if _NOT_OURS.search(answer.err):
            wrong.append(f"{arguments}: not our words: {answer.err}")
    assert not wrong, "\n".join(wrong)
    assert contents(shared) == before


def contents(machine: Machine) -> object:
    """Returns the content of the database."""
    store = open_store(read_settings({"MITORCH_HOME": str(machine.home)}), create=True)
    try:
        return (
            store.trainings.list_trainings(TrainingFilter(), 100),
            store.jobs.list_jobs(100),
            store.datasets.list_datasets(),
        )
    finally:
        store.close()


def test_there_are_many() -> None:
    assert sum(map(len, GROUPS.values())) >= 80
