"""Names, tags and notes of trainings and jobs, changed by people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.labels import MAX_NAME, MAX_NOTE, changed_tags, check_tag, check_text
from mitorch_service.operations.lifecycle import Change, trainings_of
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import Kind


@dataclass(frozen=True)
class TagChange:
    """Tags to set, each in place of those with its key, and keys or whole tags to remove."""

    set_to: tuple[str, ...]
    removed: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raises InvalidInput for a tag that is not KEY=VALUE."""
        problems = []
        for tag in self.set_to:
            try:
                check_tag(tag)
            except ValueError as error:
                problems.append(Problem(tag, str(error)))
        if problems:
            raise InvalidInput("tag", problems)

    def __call__(self, tags: Sequence[str]) -> list[str]:
        """The tags after the change. Raises InvalidInput if these are too many."""
        try:
            return changed_tags(tags, self.set_to, self.removed)
        except ValueError as error:
            raise InvalidInput("tag", [Problem("", str(error))]) from error


def change_tags(store: Store, kind: Kind, id: str, change: TagChange) -> Change:
    """Changes the tags of a training, or of a job and its trials, which have those of their job. Raises NotFound,
    NotAllowed, InvalidInput."""
    store.labels.change_tags(kind, id, change)
    changed = 0
    if kind == "job":
        for row in trainings_of(store, id):
            store.labels.change_tags("training", row.id, change)
            changed += 1
    return Change(kind, id, changed)


def set_name(store: Store, kind: Kind, id: str, name: str | None) -> Change:
    """Names a training or job; None takes the name away. Raises NotFound, InvalidInput."""
    return _set(store, kind, id, "name", name, MAX_NAME)


def set_note(store: Store, kind: Kind, id: str, note: str | None) -> Change:
    """Sets a person's note on a training or job; None takes it away. Raises NotFound, InvalidInput."""
    return _set(store, kind, id, "user_note", note, MAX_NOTE)


def _set(store: Store, kind: Kind, id: str, field: str, text: str | None, longest: int) -> Change:
    try:
        checked = None if text is None else check_text(text, longest)
    except ValueError as error:
        raise InvalidInput(field.removeprefix("user_"), [Problem("", str(error))]) from error
    store.labels.set_label(kind, id, field, checked)
    return Change(kind, id)
