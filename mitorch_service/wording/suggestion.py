"""The known words that somebody perhaps meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_LIKE = 0.6  # of difflib's similarity; with less a word is no suggestion
_TIE = 0.05  # below the best a word is as good as that
_MOST = 2
_SYNONYMS = {  # what others call it -> our words, where letters alone do not tell
    "bayes": ("gp", "tpe"),
    "bayesian": ("gp", "tpe"),
    "bayesopt": ("gp", "tpe"),
    "bo": ("gp", "tpe"),
    "gaussian": ("gp",),
    "hyperopt": ("tpe",),
    "parzen": ("tpe",),
    "evolution": ("cmaes", "nsga2"),
    "evolutionary": ("cmaes", "nsga2"),
    "genetic": ("nsga2",),
    "population": ("pbt",),
    "sobol": ("qmc",),
    "halton": ("qmc",),
    "exhaustive": ("grid",),
    "acc": ("top1_accuracy", "accuracy"),
    "top1": ("top1_accuracy",),
    "map": ("mean_average_precision", "average_precision"),
    "auc": ("average_precision",),
    "f1_score": ("f1",),
    "up": ("maximize",),
    "max": ("maximize",),
    "down": ("minimize",),
    "min": ("minimize",),
    "done": ("completed",),
    "finished": ("completed",),
    "succeeded": ("completed",),
    "crashed": ("failed",),
    "error": ("failed",),
    "pending": ("new", "queued"),
    "waiting": ("new",),
}


def nearest_words(word: str, known: Iterable[str]) -> list[str]:
    """Returns the one or two known words that are nearest, in the order of `known`; none if none is near."""
    known = list(known)
    meant = [other for other in _SYNONYMS.get(word.lower(), ()) if other in known]
    if meant:
        return meant
    parts = [other for other in known if word.lower() in re.split(r"[\W_]+", other.lower())]
    if parts:
        return parts[:1]
    likeness = {other: difflib.SequenceMatcher(None, other.lower(), word.lower()).ratio() for other in known}
    best = max(likeness.values(), default=0.0)
    if best < _LIKE:
        return []
    return [other for other in known if likeness[other] > best - _TIE][:_MOST]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns ``did you mean 'gp' or 'tpe'? ``, or nothing if no known word is near."""
    near = nearest_words(word, known)
    return f"did you mean {' or '.join(map(repr, near))}? " if near else ""
