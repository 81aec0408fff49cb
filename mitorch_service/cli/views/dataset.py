"""Prints one data set (`midataset show`)."""

from __future__ import annotations

from collections.abc import Mapping

from mitorch_service.cli.views.pages.output import show_page
from mitorch_service.cli.views.pages.page import Block, Column, Fields, Lines, Page, Table
from mitorch_service.insights.datasets.leak_text import leak_text
from mitorch_service.models.dataset import Dataset
from mitorch_service.wording.counted import counted


def show_dataset(dataset: Dataset) -> None:
    """Prints its files, and the classes of each split with their counts."""
    blocks: list[Block] = [Fields(_fields(dataset))]
    if dataset.contents:
        blocks += _class_blocks(dataset)
    else:
        blocks.append(Lines(["its classes were not counted when it was registered (files in blob storage are not)"]))
    show_page(Page(blocks))


def _fields(dataset: Dataset) -> list[tuple[str, object]]:
    fields: list[tuple[str, object]] = [("data set", dataset.ref), ("registered", dataset.created_at)]
    if dataset.imported_from:
        fields.append(("imported from", origin_text(dataset.imported_from)))
    for name, split in dataset.splits().items():
        fields += [(name, split.path), (f"{name} files", split.support_files)]
        if (contents := dataset.contents.get(name)) is not None:
            classes = counted(contents.classes, "class", "classes")
            fields.append((f"{name} images", f"{contents.images:,}, {contents.kind}, {classes}"))
            if contents.leaks is not None:
                fields.append((f"{name} shares", leak_text(contents.leaks)))
    return fields


def origin_text(origin: Mapping[str, object]) -> str:
    """Returns a line such as ``obdb, mongodb://host, annotations; A (2020-05-20), B``: the tasks, when they changed, or
    the sets of a workspace with their versions."""
    tasks = origin.get("tasks")
    named = [one for one in tasks if isinstance(one, dict)] if isinstance(tasks, list) else []
    parts = [
        f"{one.get('name')} ({one['updated_date']})" if one.get("updated_date") else f"{one.get('name')}"
        for one in named
    ]
    data = origin.get("data")
    parts += [f"{name}:{version}" for name, version in data.items()] if isinstance(data, dict) else []
    where = ", ".join(str(value) for key, value in origin.items() if key != "tasks" and isinstance(value, str))
    return "; ".join([where, ", ".join(parts)]).removesuffix("; ")


def _class_blocks(dataset: Dataset) -> list[Block]:
    counts = {split: {one.name: one.count for one in found.counts} for split, found in dataset.contents.items()}
    names = dict.fromkeys(name for split in counts.values() for name in split)
    rows = [[name, *(split.get(name) for split in counts.values())] for name in names]
    what = "boxes" if any(found.kind == "detection" for found in dataset.contents.values()) else "images"
    columns = [Column("class", 0, 12), *map(Column, counts)]
    table = Table(f"classes, with the number of their {what}", columns, rows)
    more = max(found.classes for found in dataset.contents.values()) - len(rows)
    return [table, *([Lines([f"… and {more:,} more classes"])] if more > 0 else [])]
