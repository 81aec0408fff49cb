"""A parser as a target of fuzzing: whatever it is given, it ends soon, in our own words, and changes nothing."""

from __future__ import annotations

import resource
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mitorch_service.errors import MiTorchError

SECONDS = 2.0  # of the processor
MEGABYTES = 500

Parse = Callable[[bytes, Path], object]


@dataclass(frozen=True)
class Target:
    """A parser. `parse` takes the input and a folder of its own, and may raise errors of ours only."""

    name: str
    parse: Parse
    seeds: Sequence[bytes]
    words: Sequence[bytes] = ()  # of its language, for the fuzzer's dictionary
    heavy: bool = False  # whether it imports an SDK for seconds: its tests are behind the marker `long`

    def warm(self, folder: Path) -> None:
        """Imports the SDK, whose time is not the parser's."""
        if self.heavy:
            with suppress(MiTorchError):
                self.parse(self.seeds[0], folder)


@dataclass(frozen=True)
class Finding:
    """An input that a target should have refused in a better way."""

    kind: str  # the same for inputs with the same cause
    told: str
    content: bytes


def run(target: Target, content: bytes, folder: Path) -> Finding | None:
    """Gives a target an input; returns what is wrong with how it took it, or None."""
    seconds, before = time.process_time(), _peak()
    try:
        target.parse(content, folder)
    except MiTorchError as error:
        if not str(error).strip() or error.exit_code not in (1, 2):
            return Finding(f"{type(error).__name__} without a message", repr(error), content)
    except Exception as error:  # noqa: BLE001 - any other one is what is looked for
        return Finding(_cause(error), "".join(traceback.format_exception(error)), content)
    if (taken := time.process_time() - seconds) > SECONDS:
        return Finding("slow", f"it took {taken:.1f} s", content)
    if (grown := _peak() - before) > MEGABYTES:
        return Finding("memory", f"it took {grown:.0f} MB", content)
    return None


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _cause(error: Exception) -> str:
    """The type of an error and the last place in the product that it came through; else in the target, which tells its
    assertions apart."""
    frames = traceback.extract_tb(error.__traceback__)
    last = [one for one in frames if "mitorch_service" in one.filename][-1:] or frames[-1:]
    return f"{type(error).__name__} at {Path(last[0].filename).name}:{last[0].lineno}"
