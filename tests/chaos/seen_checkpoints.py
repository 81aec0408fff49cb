"""The checkpoints of the engine's trainings, as they are seen while these run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from mitorch_service.models.training import run_of
from tests.chaos.folders import Folders


class SeenCheckpoints:
    """The newest checkpoint of each training by the last attempt that had begun when it was seen: every later attempt
    must resume from it, or from a later one."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self.epochs: dict[str, dict[int, int]] = defaultdict(dict)  # by training and attempt

    def has_resumed(self) -> bool:
        """Whether an attempt was seen to go beyond the checkpoint of an earlier one."""
        return any(
            len(by_attempt) > 1 and by_attempt[max(by_attempt)] > by_attempt[min(by_attempt)]
            for by_attempt in self.epochs.values()
        )

    def look(self, runs: Iterable[str]) -> Iterator[str]:
        """Looks at the files of the trainings with these runs; yields the runs that have just stored their training's
        first checkpoint."""
        for run in runs:
            id, _ = run_of(run) or ("", 0)
            newest = max((int(name.rpartition("-")[2]) for name in self._states(id)), default=0)
            if newest:
                is_first = id not in self.epochs
                # After the look at the files, so that a later attempt has begun after them. Each checkpoint is at least
                # an epoch further than the one before.
                begun = max(number for folder in self._folders.runs_of(id) if (number := _number(folder.name)))
                self.epochs[id][begun] = max(newest, self.epochs[id].get(begun, 0))
                if is_first:
                    yield run

    def _states(self, id: str) -> Iterator[str]:
        for path in (self._folders.artifacts / id).glob("checkpoint-*/state.pt"):
            yield path.parent.name


def _number(run: str) -> int:
    return (run_of(run) or ("", 0))[1]
