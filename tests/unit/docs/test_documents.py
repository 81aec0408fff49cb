"""Links, paths, modules, commands, settings and words of the documents exist, and every block has its test."""

from __future__ import annotations

import configparser
import importlib
import json
import re
import shlex
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

from mitorch_service.cli.main import COMMANDS as PROGRAMS
from mitorch_service.cli.main import load
from mitorch_service.interop.vott.message import read_message
from mitorch_service.models.config.script import check_config
from mitorch_service.models.config.validation import check
from mitorch_service.models.dataset import DatasetDefinition
from mitorch_service.models.notification import Event
from mitorch_service.models.search.job import JobConfig
from mitorch_service.models.status import TRANSITIONS
from mitorch_service.search.space.space import parse_space
from mitorch_service.settings import read_settings
from mitorch_service.training.loop.config_check import check_names
from mitorch_service.webhook_settings.webhook import EventKind
from mitorch_service.webhook_settings.webhook_list import read_webhooks
from mitorch_service.webhooks.json_payload import json_payload
from scripts import config_reference, draw_flow, draw_states
from tests import documents
from tests.documents import COMMANDS, DOCUMENTS, README, README_WORDS, ROOT, Block, blocks

_PATH = re.compile(
    r"(?:mitorch_service|tests|scripts|functions|docs|\.ci)/[\w./-]*"
    r"|\b(?:[A-Z]{4,}\.md|pyproject\.toml|constraints\.txt)"
)
_MODULE = re.compile(r"(?:mitorch_service|tests|scripts)(?:\.[a-z_0-9]+)+")
_PLACEHOLDER = re.compile(r"NAME|\*|…")
_ENTRY_POINTS = {
    *("mitorch_service.models", "mitorch_service.tasks", "mitorch_service.augmentations"),
    "mitorch_service.vott_plugins",
}
_PROGRAM = re.compile(r"^(?:mi(?:submit|query|dataset|control|train|test|run|viewer)|mitorch)(?=\s|$)")
_IN_CODE = re.compile(r"(?:^|\.venv/bin/|\$\()((?:mi[a-z]+|mitorch)(?=\s|$)(?:'[^']*'|[^>)'])*)")
_BY_NAME = pytest.mark.parametrize("path", DOCUMENTS, ids=documents.name_of)


def test_the_readme_is_two_pages() -> None:
    assert len(README.read_text("utf-8").split()) <= README_WORDS


@_BY_NAME
def test_links_lead_somewhere(path: Path) -> None:
    for link in documents.links(path):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        if anchor:
            assert anchor in documents.anchors(target), link


@_BY_NAME
def test_paths_and_modules_exist(path: Path) -> None:
    for span in documents.spans(path):
        for place in _PATH.findall(span):
            if not _PLACEHOLDER.search(place):
                assert (ROOT / place).exists() or (path.parent / place).exists(), span
        for name in _MODULE.findall(span):
            assert name in _ENTRY_POINTS or _exists(name), span


def test_the_files_of_the_flows_exist() -> None:
    text = (ROOT / "docs" / "design.md").read_text("utf-8").partition("## Flows")[2].partition("\n## ")[0]
    files = re.findall(r"`([a-z_]+/[\w./]*)`", text)
    assert [file for file in files if not (ROOT / "mitorch_service" / file).exists()] == []
    assert len(files) > 15


def test_the_rooms_are_those_of_the_import_contract() -> None:
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    rooms = {room: int(layer) for layer, room in re.findall(r"^\| (\d+) \| `(\w+)` \|", text, re.MULTILINE)}
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    groups = [[room.strip() for room in re.split(r"[|:]", layer)] for layer in reversed(layers)]
    assert rooms == {room: layer for layer, group in enumerate(groups) for room in group}


def _exists(module: str) -> bool:
    """Whether it is a module, or a name in one."""
    place = ROOT.joinpath(*module.split("."))
    if place.with_suffix(".py").exists() or place.is_dir():
        return True
    parent, _, name = module.rpartition(".")
    return hasattr(importlib.import_module(parent), name)


def test_every_block_of_commands_is_run_or_has_a_reason() -> None:
    found = {(b.document, words) for b in blocks("bash", "python") for words in _names_of(b)}
    assert len(found) == len(list(blocks("bash", "python")))
    assert found == set(COMMANDS)


def _names_of(block: Block) -> list[str]:
    """The entries of COMMANDS that are this block's: one."""
    names = [words for document, words in COMMANDS if document == block.document and block.begins(words)]
    assert len(names) == 1, block.label
    return names


def test_the_tests_of_the_blocks_exist() -> None:
    for place in COMMANDS.values():
        if place.startswith("tests/"):
            file, _, test = place.partition("::")
            assert f"def {test}(" in (ROOT / file).read_text("utf-8"), place


@_BY_NAME
def test_commands_in_the_text_have_the_options_that_are_named(path: Path) -> None:
    lines = [span for span in documents.spans(path) if _PROGRAM.match(span)]
    code = [b for b in blocks("bash", "cron", "ini") if b.document == documents.name_of(path)]
    lines += [found for b in code for line in b.text.splitlines() for found in _IN_CODE.findall(line)]
    for line in lines:
        _check_command(line)


def _check_command(line: str) -> None:
    words = [word for word in shlex.split(line, comments=True) if word != "…"]
    program, words = words[0].removeprefix("mi"), words[1:]
    if program == "torch":
        if not words or words[0].startswith("-"):
            return
        program, words = words[0], words[1:]
    assert program in PROGRAMS, line
    command: click.Command = load(program)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        names = words[0].split("|")
        assert set(names) <= set(command.commands), line
        command, words = command.commands[names[0]], words[1:]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    for word in words:
        if word.startswith("-") and word != "-" and not word[1:].isdecimal():
            assert word.partition("=")[0] in known, line


@pytest.mark.parametrize("block", list(blocks("json")), ids=lambda block: block.label[:60])
def test_json_is_what_it_shows(block: Block) -> None:
    content = json.loads(block.text)
    if isinstance(content, list) and "url" in content[0]:
        secrets = {"OPS_WEBHOOK": "https://x.logic.azure.com/w", "OPS_SECRET": "an unguessable one"}
        assert len(read_webhooks({"MITORCH_WEBHOOKS": block.text, **secrets})) == len(content)
    elif isinstance(content, list) and "kind" in content[0]:
        assert len(read_settings({"MITORCH_CLUSTERS": block.text}).clusters) == len(content)
    elif isinstance(content, dict) and {"type", "timestamp", "data"} <= set(content):
        assert json_payload(event_of(content)) == content
    elif "plugin_name" in content:
        assert read_message(block.text.encode()).plugin == content["plugin_name"]
    elif isinstance(content, list):
        assert [problem for item in content for problem in check(DatasetDefinition, item)[1]] == []
    else:
        assert problems(content) == []


def event_of(payload: dict[str, Any]) -> Event:
    """The event of which this is the payload."""
    data = {**payload["data"], "id": payload["id"], "kind": payload["type"], "at": payload["timestamp"]}
    return Event.model_validate(data)


def problems(config: dict[str, Any]) -> list[Any]:
    """The problems of a training, script or job config by itself, whatever is registered."""
    if "job_type" not in config:
        return [*check_config(config)[1], *([] if "script" in config else check_names(config))]
    found = list(check(JobConfig, config)[1])
    space, broken = parse_space(config["config"])
    return found + broken + [problem for corner in space.corners() for problem in problems(corner)]


def test_every_setting_is_documented() -> None:
    rooms = ("cluster_settings/cluster_list.py", "webhook_settings/entry_checks.py", "placement_settings/policy.py")
    files = ("settings.py", *rooms)
    source = "".join((ROOT / "mitorch_service" / file).read_text() for file in files)
    text = (ROOT / "docs" / "operations.md").read_text()
    for variable in set(re.findall(r"MITORCH_[A-Z_]+[A-Z]\b", source)):
        assert f"`{variable}`" in text, variable
    (clusters,) = re.findall(r'`(\[\{"name": "local".*?\])`', text)
    assert read_settings({"MITORCH_CLUSTERS": clusters}).clusters[0].name == "local"


def test_every_event_is_documented() -> None:
    text = (ROOT / "docs" / "notifications.md").read_text("utf-8")
    assert [kind.value for kind in EventKind if kind != EventKind.TEST and f"`{kind.value}`" not in text] == []


def test_the_picture_of_the_states_is_the_table_of_transitions() -> None:
    table = {(before.value, after.value) for before, afters in TRANSITIONS.items() for after in afters}
    assert draw_states.transitions() == table


@pytest.mark.parametrize("picture", [draw_flow, draw_states], ids=lambda module: module.TARGET.name)
def test_pictures_are_what_the_scripts_draw(picture: ModuleType) -> None:
    assert picture.TARGET.read_text("utf-8") == picture.draw()


def test_the_reference_is_what_the_models_say() -> None:
    assert config_reference.TARGET.read_text("utf-8") == config_reference.page()


def test_units_of_systemd_can_be_read() -> None:
    for b in blocks("ini"):
        parser = configparser.RawConfigParser()
        parser.read_string(b.text)
        assert parser.sections(), b.label


def test_glossary_has_a_line_for_each_word() -> None:
    text = (ROOT / "docs" / "design.md").read_text("utf-8").partition("## Glossary")[2]
    rows = [row.split("|")[1:-1] for row in text.splitlines() if row.startswith("| ") and not row.startswith("| word")]
    assert all(len(row) == 3 and all(cell.strip() for cell in row) for row in rows)
    words = [row[0].strip().lower() for row in rows]
    assert words == sorted(words)
    assert len(words) > 40
