"""Names of metrics as our documents hold them."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_METRICS = 200  # of an epoch, as for scripts
_MAX_NAME = 100
_FORBIDDEN = re.compile(r"[$\x00-\x1f]")  # by databases

# Names under which others log what our curves call so; the first that a run has counts.
_USUAL = {
    "train_loss": ("train_loss", "training_loss", "loss_train", "train_loss_epoch", "loss"),
    "val_loss": ("val_loss", "valid_loss", "validation_loss", "eval_loss", "loss_val", "loss_valid", "loss_validation"),
    "learning_rate": ("learning_rate", "lr", "train_learning_rate", "train_lr"),
}


def stored_names(names: Iterable[str]) -> dict[str, str]:
    """Returns the stored name of each metric that is kept: the usual losses under our names, others as they are except
    for what no document can hold. At most `MAX_METRICS`."""
    names = list(dict.fromkeys(names))
    simple = {re.sub(r"[/ .\-]+", "_", name.lower()): name for name in reversed(names)}
    found = {
        simple[candidates[0]]: ours
        for ours, usual in _USUAL.items()
        if (candidates := [name for name in usual if name in simple])
    }
    taken = set(found.values())
    for name in names:
        if name not in found and len(found) < MAX_METRICS:
            found[name] = _free(_allowed(name), taken)
            taken.add(found[name])
    return found


def allowed_key(name: str) -> str:
    """Returns the name of a parameter as databases can hold it."""
    return _FORBIDDEN.sub("_", storable(name)) or "_"


def storable(text: str) -> str:
    """Returns the text without halves of characters, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _allowed(name: str) -> str:
    name = allowed_key(name).replace(".", "/")
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"


def _free(name: str, taken: set[str]) -> str:
    number = 2
    free = name
    while free in taken:
        suffix = f" {number}"
        free = name[: _MAX_NAME - len(suffix)] + suffix
        number += 1
    return free
