"""Fuzzes one target, guided by the coverage of the product's code (atheris); a process of its own.

``python -m tests.fuzzing.guided TARGET SECONDS FOLDER``: writes each finding below the folder as it comes, the shortest
input of each kind, and how many inputs were run.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-untyped]

from tests.fuzzing.damage import WORDS
from tests.fuzzing.target import Finding, run

_LONGEST = 20_000  # bytes of an input
_HANGS = 60  # seconds after which a target is ended: this is said by its last input


def main(name: str, seconds: int, folder: Path) -> None:
    """Fuzzes until the time is over; libFuzzer ends the process."""
    with atheris.instrument_imports(include=["mitorch_service"]):
        from tests.fuzzing.registry import find

        target = find(name)
    logging.disable(logging.CRITICAL)
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed{number}").write_bytes(seed)
    words = folder / "words"
    words.write_text("\n".join(_quoted(word) for word in (*WORDS, *target.words) if len(word) <= 64) + "\n")
    place = Path(tempfile.mkdtemp(prefix="mitorch-fuzz-"))
    target.warm(place)
    found: dict[str, Finding] = {}

    def one(content: bytes) -> None:
        finding = run(target, content, place)
        if finding is not None and (finding.kind not in found or len(content) < len(found[finding.kind].content)):
            found[finding.kind] = finding
            _write(folder, found)

    options = [f"-max_total_time={seconds}", f"-timeout={_HANGS}", "-rss_limit_mb=3000", f"-max_len={_LONGEST}"]
    options += [f"-dict={words}", "-seed=1", "-print_final_stats=1", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()


def _write(folder: Path, found: dict[str, Finding]) -> None:
    told = [{"kind": one.kind, "told": one.told, "content": repr(one.content)} for one in found.values()]
    (folder / "findings.json").write_text(json.dumps(told, indent=1))


def _quoted(word: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"'


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
