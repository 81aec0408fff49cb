"""The config of a script: what is refused, what is masked, and what becomes of its command and environment."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.models.config.script import ScriptConfig, check_config, dataset_files, is_secret, masked_config
from mitorch_service.runs.script.command import Mask, parameter_arguments, script_command, script_environment

SCRIPT: dict[str, Any] = {"script": {"command": "python train.py {parameters}"}}


def problems(data: dict[str, Any]) -> dict[str, str]:
    """Returns the problems, by path."""
    return {problem.path: problem.message for problem in check_config(data)[1]}


def test_a_command_in_text_is_cut_into_words() -> None:
    config, _ = check_config({"script": {"command": "python -c 'print(1, 2)' {parameters}"}})
    assert isinstance(config, ScriptConfig)
    assert config.script.command == ["python", "-c", "print(1, 2)", "{parameters}"]
    assert problems({"script": {"command": ["python", "train.py"]}}) == {}


@pytest.mark.parametrize(
    ("data", "path", "message"),
    [
        ({"script": {}}, "script.command", "is required"),
        ({"script": {"command": ""}}, "script.command", "must not be empty"),
        ({"script": {"command": "python 'x"}}, "script.command", "No closing quotation"),
        (
            {"script": {"command": "train {paramters}"}},
            "script.command",
            "{paramters} is not known; known: {parameters}",
        ),
        ({"script": {"command": "x", "env": {"a-b": "1"}}}, "script.env", "'a-b' is not a valid name"),
        ({"script": {"command": "x", "env": {"MITORCH_DB_URI": "1"}}}, "script.env", "MITORCH_DB_URI is reserved"),
        ({"script": {"command": "x", "sources": "."}}, "script.sources", "did you mean 'source'?"),
        ({**SCRIPT, "parameters": {"a b": 1}}, "parameters", "'a b' cannot be an argument"),
        ({**SCRIPT, "parameters": {"a\n": 1}}, "parameters", "'a\\n' cannot be an argument"),
        ({**SCRIPT, "parameters": {"a": {"b c": 1}}}, "parameters", "'a.b c' cannot be an argument"),
        (
            {**SCRIPT, "parameters": {"opt.lr": 1, "opt": {"lr": 2}}},
            "parameters.opt.lr",
            'is the name of two parameters: write either the key "a.b" or "a": {"b": …}, not both',
        ),
        ({"script": {"command": "x", "env": {"A\n": "1"}}}, "script.env", "is not a valid name"),
        ({"script": {"command": "x {out}"}}, "script.command", "or write {{out}} for the text {out} itself"),
        ({**SCRIPT, "resources": {"nodes": 2}}, "resources", "a script runs on one node"),
        ({**SCRIPT, "model": {"name": "x"}}, "model", "unknown key"),
        ({**SCRIPT, "max_epochs": -1}, "max_epochs", "must be 0 or more"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(data: dict[str, Any], path: str, message: str) -> None:
    found = problems(data)
    assert list(found) == [path]
    assert message in found[path]


def test_a_config_without_a_script_is_a_training() -> None:
    assert "model" in problems({"max_epochs": 1})


@pytest.mark.parametrize(
    "name", ["HF_TOKEN", "db_password", "AWS_SECRET", "AZURE_STORAGE_ACCESS_KEY", "API_KEY", "WANDB_API_KEY"]
)
def test_credentials_are_masked_when_shown(name: str) -> None:
    config = {"script": {"command": ["x"], "env": {name: "abcdef", "KEYBOARD": "qwerty"}}, "max_epochs": 1}
    assert is_secret(name)
    assert masked_config(config)["script"]["env"] == {name: "***", "KEYBOARD": "qwerty"}
    assert config["script"]["env"][name] == "abcdef"  # type: ignore[index]


def test_a_config_without_environment_is_shown_as_it_is() -> None:
    for config in ({"model": {"name": "x"}}, SCRIPT, {"script": 3}):
        assert masked_config(config) == config


def test_parameters_become_arguments() -> None:
    parameters = {"lr": 1e-05, "name": "a b", "flag": True, "layers": [1, 2], "optimizer": {"beta": 0.9}, "none": None}
    assert parameter_arguments(parameters) == [
        *("--lr=1e-05", "--name=a b", "--flag=true", "--layers=[1, 2]", "--optimizer.beta=0.9"),
    ]


@pytest.mark.parametrize("value", [-2.1e-05, -1, "-O2", "--fast", "-", "a=b", "", "[-1]"])
def test_argparse_reads_any_value_back(value: object) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=type(value))
    parser.add_argument("-O", action="store_true")
    assert parser.parse_args(parameter_arguments({"x": value})).x == value


def test_placeholders_are_filled_in() -> None:
    paths = {"parameters_file": Path("/p.json"), "train": Path("/d/train.txt")}
    command = ["python", "--data={train}", "{parameters_file}", "{parameters}", '{"json": {"a": 1}}']
    assert script_command(command, {"lr": 1}, paths) == [
        *("python", "--data=/d/train.txt", "/p.json", "--lr=1", '{"json": {"a": 1}}'),
    ]
    with pytest.raises(ValueError, match="val} is a file of the data set, which has none"):
        script_command(["{val}"], {}, paths)


def test_a_placeholder_in_two_braces_is_its_text() -> None:
    command: list[Any] = [
        "{{val}}",
        "a={{val}},{val}",
        "{{parameters}}",
        "{{out}}",
        "x={{out}}",
        "{{{val}}}",
        "{}",
        "{{}}",
    ]
    assert script_command(command, {"lr": 1}, {"val": Path("/v.txt")}) == [
        *("{val}", "a={val},/v.txt", "{parameters}", "{out}", "x={{out}}", "{{val}}", "{}", "{{}}"),
    ]
    assert dataset_files({"script": {"command": command}}) == ["val"]
    assert dataset_files({"script": {"command": "a {{val}} --x={train} {test}"}}) == ["train", "test"]
    assert dataset_files({"script": {"command": "a {{val}} {parameters_file}"}}) == []


def test_our_credentials_stay_out_of_the_environment() -> None:
    inherited = {
        "MITORCH_DB_URI": "mongodb://u:p@h",
        "MITORCH_STORAGE_URL": "https://x?sig=1",
        "AZUREML_RUN_TOKEN": "t",
        "HOME": "/home/me",
        "PATH": "/bin",
    }
    own, given = {"A": "1", "HOME": "/else"}, {"MITORCH_REPORT": "127.0.0.1:1:t"}
    assert script_environment(inherited, own, given, Path("/venv/bin/python")) == {
        "HOME": "/else",
        "PATH": "/venv/bin:/bin",
        "PYTHONUNBUFFERED": "1",
        "A": "1",
        "MITORCH_REPORT": "127.0.0.1:1:t",
    }


def test_what_is_printed_is_masked() -> None:
    mask = Mask({"MY_TOKEN": "abc.d", "MY_PASSWORD": "", "CITY": "Berne"})
    assert (
        mask("token abc.d in Berne, abcxd, mongodb://u:secret@host")
        == "token *** in Berne, abcxd, mongodb://u:***@host"
    )
