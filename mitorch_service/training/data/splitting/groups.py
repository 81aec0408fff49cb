"""Finds the groups of a data set's images that no split may divide, such as the frames of a recording."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.training.data.formats.csv import IMAGE, header_of, rows
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.splitting.recordings import guess_recordings

_OPTION = "--group"
_TABLE_IMAGES = (*IMAGE, "image_url")
_SHOWN = 3


def find_groups(images: ImageList, group: str | None, tables: Mapping[Path, Path]) -> tuple[list[str], str]:
    """The group of each image, and the rule in words.

    `group` is a column of the CSV files that the images were read from (`tables`, each with the folder of its
    images), or a regular expression that is
    searched for in each image's path: its groups in parentheses, else all of it, name the group. None: frames of one
    recording by their names (`guess_recordings`). Raises InvalidInput for a pattern that is none or is not found in
    some paths, for a column without a value, and if nothing can be guessed.
    """
    if group is None:
        return _guessed(images)
    headers = [header_of(next(rows(table, str(table)), (0, []))[1]) for table in tables]
    if headers and all(group.strip().lower() in header for header in headers):
        return _by_column(images, group, tables), f"column {group}"
    return _by_pattern(images, group), f"pattern {group}"


def _guessed(images: ImageList) -> tuple[list[str], str]:
    names = list(images.images)
    found = guess_recordings(names, [tuple(images.targets.labels_of(index)) for index in range(len(names))])
    if found is None:
        problem = "is needed: the names do not tell which images belong together. Give a regular expression or column"
        raise _invalid(problem)
    return [one or name for one, name in zip(found.of_image, names, strict=True)], f"guessed: {found.rule}"


def _by_pattern(images: ImageList, group: str) -> list[str]:
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise _invalid(f"{group!r} is no regular expression ({error}), nor a column of the data set's file") from error
    found, without = [], []
    for name in images.images:
        match = pattern.search(name)
        if match is None:
            without.append(name)
            continue
        found.append("|".join(part or "" for part in match.groups()) if pattern.groups else match[0])
    if without:
        shown = ", ".join(without[:_SHOWN]) + (", …" if len(without) > _SHOWN else "")
        problem = f"{group!r} is not found in {len(without)} of {len(images)} paths: {shown}. Write one that all have"
        raise _invalid(problem)
    return found


def _by_column(images: ImageList, group: str, tables: Mapping[Path, Path]) -> list[str]:
    values: dict[str, str] = {}
    for table, folder in tables.items():
        base = os.path.relpath(folder.absolute(), images.folder)
        lines = rows(table, str(table))
        header = header_of(next(lines)[1])
        image_at = next(header.index(word) for word in _TABLE_IMAGES if word in header)
        group_at = header.index(group.strip().lower())
        for line, row in lines:
            value = row[group_at].strip() if len(row) > group_at else ""
            if not value:
                raise _invalid(f"{group!r} has no value on line {line} of {table}. Fill it in")
            image = os.path.normpath(os.path.join(base, row[image_at].strip()))  # noqa: PTH118 - as `join` does
            if values.setdefault(image, value) != value:
                raise _invalid(f"{group!r}: {row[image_at]} has two values, the second on line {line} of {table}")
    return [values[name] for name in images.images]


def _invalid(problem: str) -> InvalidInput:
    return InvalidInput("midataset split", [Problem(_OPTION, problem)])
