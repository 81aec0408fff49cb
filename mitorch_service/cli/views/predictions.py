"""Writes predictions, draws them, and says what was written and what could not be read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from mitorch_service.cli.views.prediction_progress import Bar, show_predicting
from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.wording.counted import counted

if TYPE_CHECKING:
    from mitorch_service.annotations.annotated_image import AnnotatedImage
    from mitorch_service.training.data.image_list import PackedStrings
    from mitorch_service.training.prediction.model import Model

_LINES = ("json", "csv")  # formats that are written as the predictions come, also to standard output


@dataclass(frozen=True)
class PredictionOutput:
    """The place and format of predictions."""

    path: Path | None  # None: standard output
    form: str
    pictures: Path | None

    @classmethod
    def checked(cls, path: Path | None, form: str | None, pictures: Path | None) -> PredictionOutput:
        """Chooses the format. Raises InvalidInput for what cannot be written, before anything is predicted."""
        from mitorch_service.training.loop.output_check import check_writable

        form = form or ("csv" if path is not None and path.suffix.lower() == ".csv" else "json")
        if path is None and form not in _LINES:
            raise InvalidInput("mipredict", [Problem("--format", f"{form} needs -o OUTPUT to write to")])
        if path is not None and form in _LINES:
            check_writable(path)
        elif path is not None:
            _check_annotations(form, path)
        if pictures is not None:
            check_writable(pictures / "image.jpg")
        return cls(path, form, pictures)

    def write(
        self, model: Model, paths: PackedStrings, threshold: float | None, top: int | None, batch_size: int | None
    ) -> int:
        """Predicts and writes; returns the exit code: 1 if an image could not be read."""
        model.choice(threshold, top)
        damaged: list[str] = []
        with show_predicting(len(paths)) as bar:

            def tell(problem: str) -> None:
                damaged.append(problem)
                bar.note(f"left out: {problem}")

            images = model.stream(paths, tell, threshold=threshold, top=top, batch_size=batch_size)
            self._write(self._drawn(bar.watch(images), model), model)
        self._summarize(bar, len(damaged))
        return 1 if damaged else 0

    def _drawn(self, images: Iterator[AnnotatedImage], model: Model) -> Iterator[AnnotatedImage]:
        if self.pictures is None:
            return images
        from mitorch_service.training.prediction.drawing import drawn

        return drawn(images, model.classes, self.pictures)

    def _write(self, images: Iterator[AnnotatedImage], model: Model) -> None:
        if self.path is None:
            _write_lines(self.form, images, sys.stdout)
        elif self.form == "json":
            from mitorch_service.annotations.writers.new_output import new_file

            with new_file(self.path) as file:
                _write_lines(self.form, images, file)
        else:
            from mitorch_service.annotations.writers.registry import write_annotations

            write_annotations(self.form, images, model.classes, self.path)

    def _summarize(self, bar: Bar, damaged: int) -> None:
        for name, place in (("predictions", self.path), ("pictures", self.pictures)):
            if place is not None:
                click.echo(f"{name}  {place}", err=self.path is None)
        if damaged:
            click.echo(f"{counted(damaged, 'image')} left out, {bar.passed} predicted", err=True)


def _write_lines(form: str, images: Iterator[AnnotatedImage], file: TextIO) -> None:
    if form == "json":
        from mitorch_service.annotations.writers.json_lines import write_json_lines

        write_json_lines(images, file)
    else:
        from mitorch_service.annotations.writers.csv import write_rows

        write_rows(images, file)


def _check_annotations(form: str, path: Path) -> None:
    """Raises InvalidInput for a file or folder that cannot be written."""
    from mitorch_service.annotations.writers.new_output import check_new
    from mitorch_service.annotations.writers.registry import FOLDERS
    from mitorch_service.training.loop.output_check import check_writable

    if form not in FOLDERS:
        check_writable(path)
        return
    check_new(path)
    check_writable(path / "annotations")
    path.rmdir()
