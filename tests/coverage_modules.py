"""`python -m tests.coverage_modules FOLDER`: our modules as SlipCover counts them, made once for a run's processes.

Making them takes each process seconds; reading them takes a tenth of that. In what is written, values stand for what no
file can hold: the probes, and the function that they are given to.
"""

from __future__ import annotations

import ast
import marshal
import pickle
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

ROOT = Path(__file__).parents[1]
KEEP_PROBES = 2**31 - 1  # removing probes walks all objects of a process, which takes longer than they do
_PROBE = "the probe of"  # and a line, or a branch
_SIGNAL = "the function that takes a probe"


def make(folder: Path) -> None:
    """Writes all our modules into the folder."""
    with ProcessPoolExecutor(2) as processes:
        list(processes.map(partial(_make_one, folder), sorted(ROOT.glob("mitorch_service/**/*.py")), chunksize=50))


def read(folder: Path, path: Path, counter: Any) -> CodeType | None:
    """The module at the path, its probes those of the counter; None if it has not been made."""
    try:
        found: CodeType = marshal.loads(_file(folder, path).read_bytes())
    except (OSError, EOFError, ValueError, TypeError):
        return None
    return _alive(found, counter)


def use(folder: Path) -> None:
    """From now on SlipCover takes the modules from the folder."""
    from slipcover import importer  # type: ignore[import-untyped]

    class Loader(importer.SlipcoverLoader):  # type: ignore[misc]
        def exec_module(self, module: ModuleType) -> None:
            code = read(folder, self.origin, self.sci)
            if code is None:
                super().exec_module(module)
                return
            self.sci.register_module(module)
            exec(code, module.__dict__)

    importer.SlipcoverLoader = Loader


def places(folder: Path) -> Iterator[tuple[dict[str, set[int]], dict[str, set[tuple[int, int]]]]]:
    """Yields the lines and the branches of each module that has been made, by its file."""
    for path in folder.glob("*.places"):
        yield pickle.loads(path.read_bytes())


def _file(folder: Path, path: Path, kind: str = ".code") -> Path:
    return folder / path.relative_to(ROOT).with_suffix(kind).as_posix().replace("/", ".")


def _make_one(folder: Path, path: Path) -> None:
    from slipcover import branch, slipcover

    probe, slipcover.probe = slipcover.probe, SimpleNamespace(new=_stand_in, signal=_SIGNAL)
    try:
        tree = branch.preinstrument(ast.parse(path.read_bytes()))
        counter = slipcover.Slipcover(branch=True, d_miss_threshold=KEEP_PROBES)
        code = counter.instrument(compile(tree, path, "exec"))
    finally:
        slipcover.probe = probe
    _file(folder, path).write_bytes(marshal.dumps(code))
    _file(folder, path, ".places").write_bytes(pickle.dumps((dict(counter.code_lines), dict(counter.code_branches))))


def _stand_in(_counter: Any, _file: str, place: int | tuple[int, int], _threshold: int) -> tuple[str, Any]:
    return _PROBE, place


def _alive(code: CodeType, counter: Any) -> CodeType:
    from slipcover import probe

    def one(value: Any) -> Any:
        if isinstance(value, CodeType):
            return _alive(value, counter)
        if isinstance(value, tuple) and len(value) == 2 and value[0] == _PROBE:
            return probe.new(counter, code.co_filename, value[1], KEEP_PROBES)
        return probe.signal if value == _SIGNAL else value

    return code.replace(co_consts=tuple(map(one, code.co_consts)))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
