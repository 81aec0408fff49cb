"""Calls that would run what a file says, or unpack what it hides: none, or by a way that does not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEVER = {
    "eval",
    "exec",
    "compile",
    "marshal.loads",
    "marshal.load",
    "os.system",
    "os.popen",
    "yaml.load",
    "joblib.load",
}
NEVER |= {
    "shelve.open",
    "pd.read_pickle",
    "pandas.read_pickle",
    "np.loadtxt",
    "tempfile.mktemp",
    "shutil.unpack_archive",
}
BETWEEN_OUR_PROCESSES = {"parallel_readers.py", "delivery.py", "weighing.py"}  # whose parent or child has written it
UNPACKED = {"tar_files.py"}  # which checks every member before
WORDS = re.compile(
    r"torch\.(jit\.)?load|from_url|np\.load|numpy\.load|pickle|YAML\(|\.extract|shell=|\b(eval|exec|compile)\(|marshal"
    r"|os\.(system|popen)|yaml\.load|joblib|shelve|loadtxt|mktemp|unpack_archive"
)


@cache
def calls() -> list[tuple[Path, str, ast.Call]]:
    """The calls of the product in files with one of these words, with the name that each is called by."""
    files = [file for room in ("mitorch_service", "functions") for file in (ROOT / room).rglob("*.py")]
    read = [(file, text) for file in files if WORDS.search(text := file.read_text("utf-8"))]
    return [(file, name, call) for file, text in read for name, call in _calls(text)]


def _calls(text: str) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            yield _dotted(node.func), node


def _dotted(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return f"{_dotted(function.value)}.{function.attr}"
    return function.id if isinstance(function, ast.Name) else "?"


def _named(*names: str) -> list[tuple[Path, ast.Call]]:
    return [(file, call) for file, name, call in calls() if name in names or name.rpartition(".")[2] in names]


def _keyword(call: ast.Call, name: str) -> object:
    return next(
        (one.value.value for one in call.keywords if one.arg == name and isinstance(one.value, ast.Constant)), None
    )


def test_weights_and_checkpoints_run_no_code() -> None:
    loads = [(file, call) for file, name, call in calls() if name in ("torch.load", "load_state_dict_from_url")]
    assert len(loads) >= 2
    for file, call in loads:
        assert _keyword(call, "weights_only") is True, f"{file}:{call.lineno}"
    assert {file.name for file, name, _ in calls() if name == "torch.jit.load"} == {
        "torchscript_file.py"
    }  # its own export


def test_numpy_reads_no_objects() -> None:
    for file, name, call in calls():
        if name in ("np.load", "numpy.load"):
            assert _keyword(call, "allow_pickle") is not True, f"{file}:{call.lineno}"


def test_pickles_are_those_of_our_own_processes() -> None:
    found = {file.name for file, name, _ in calls() if name in ("pickle.load", "pickle.loads", "pickle.Unpickler")}
    assert found == BETWEEN_OUR_PROCESSES


def test_yaml_makes_no_objects() -> None:
    for file, call in _named("YAML"):
        assert _keyword(call, "typ") == "safe", f"{file}:{call.lineno}"


def test_archives_are_unpacked_in_one_place() -> None:
    found = {file.name for file, name, _ in calls() if name.rpartition(".")[2] in ("extractall", "extract")}
    assert found <= UNPACKED | {"node_entry.py"}  # the wheel that we have uploaded ourselves


@pytest.mark.parametrize("name", sorted(NEVER))
def test_never(name: str) -> None:
    assert [(file, call.lineno) for file, found, call in calls() if found == name] == []


def test_no_shell_and_no_javascript() -> None:
    assert [(file, call.lineno) for file, _, call in calls() if _keyword(call, "shell") is True] == []
    texts = (file.read_text("utf-8") for file in (ROOT / "mitorch_service").rglob("*.py"))
    assert not any(
        word in text for text in texts for word in ('"$where"', '"$function"', '"$accumulator"', "mapReduce")
    )
