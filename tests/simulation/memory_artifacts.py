"""Artifacts in memory, without their bytes: what is stored, and for checkpoints a value to go on from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.errors import ArtifactError
from tests.simulation.scheduler import Scheduler

Result = TypeVar("Result")


class MemoryArtifacts(ArtifactStore):
    """An artifact store that fails while `down`."""

    def __init__(self, scheduler: Scheduler, is_down: Callable[[], bool]) -> None:
        self._scheduler, self._is_down = scheduler, is_down
        self.values: dict[str, object] = {}

    def put(self, key: str, source: Path) -> str:
        self.put_value(key, None)
        return f"memory/{key}"

    def put_value(self, key: str, value: object) -> None:
        """Stores a value under the key. Raises ArtifactError."""
        self._call(f"put {key}", lambda: self.values.__setitem__(key, value))

    def get(self, key: str, target: Path) -> None:
        raise ArtifactError(key, "the simulation", "holds no bytes")

    def exists(self, key: str) -> bool:
        return key in self.values

    def path_for_runs(self, key: str) -> str:
        return f"memory/{key}"

    def keys(self, prefix: str) -> list[str]:
        return self._call(f"keys {prefix}", lambda: sorted(key for key in self.values if key.startswith(prefix)))

    def delete(self, prefix: str) -> int:
        def effect() -> int:
            found = [key for key in self.values if key.startswith(prefix)]
            for key in found:
                del self.values[key]
            return len(found)

        return self._call(f"delete {prefix}", effect)

    def check(self) -> str:
        return "memory"

    def _call(self, label: str, effect: Callable[[], Result]) -> Result:
        def failure() -> Exception:
            return ArtifactError(label, "the simulation", "is out of order")

        def guarded() -> Result:
            if self._is_down() and self._scheduler.current is not None:
                raise failure()
            return effect()

        return self._scheduler.call(label, guarded, failure)
