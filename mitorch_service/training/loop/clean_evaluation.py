"""Evaluates weights on the images of a split that the training has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.duplicates import find_duplicates
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.loop.evaluation import evaluate
from mitorch_service.training.loop.reporter import Reporter
from mitorch_service.wording.counted import are, counted


def evaluate_clean(
    config: TrainingConfig,
    data: ImageList,
    train: ImageList,
    weights: Path,
    *,
    known: Sequence[int] = (),
    reporter: Reporter,
) -> dict[str, float]:
    """Returns the loss and metrics of `weights` (`evaluate`) without the images of `data` that are in `train` too;
    empty if there are none, or nothing else.

    `known`: numbers of further images that are nearly the same, as ``midataset check`` found them.
    """
    try:
        found = find_duplicates(train, data)
    except (OSError, BadZipFile, KeyError):  # a file that was replaced meanwhile; the metrics themselves are there
        return {}
    seen = {*found.by_path, *found.by_content, *(index for index in known if index < len(data))}
    if not seen:
        return {}
    leaks = f"{counted(len(seen), 'image')} of {data.name} {are(len(seen))} in {train.name} too, or nearly the same"
    if len(seen) == len(data):
        reporter.note(f"{leaks}: all of them, so that no clean_… metrics can be measured.")
        return {}
    reporter.note(f"{leaks}: the clean_… metrics are measured without them.")
    clean = data.select([index for index in range(len(data)) if index not in seen], f"{data.name} (clean)")
    return evaluate(config, clean, weights, reporter=reporter)


def clean_figures(evaluation: Mapping[str, float]) -> dict[str, float]:
    """Renames the figures of an evaluation, or of a test, to those of its clean part: ``f1`` to ``clean_f1``."""
    return {f"clean_{name}": value for name, value in evaluation.items()}
