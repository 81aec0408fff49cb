"""Fills obdb's annotations database as its own program does (weed_annotations 7874ead, code/cvat_com.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo.database import Database

LABELS = ((7, "Fat hen"), (9, "Rape"), (11, "Cleavers"))  # ids and names


@dataclass
class CvatTask:
    """A completed task of CVAT."""

    name: str
    frames: list[dict[str, Any]]  # name, width, height
    shapes: list[dict[str, Any]] = field(default_factory=list)
    updated_date: str = "2020-05-20T14:57:36.123456Z"


def frame(name: str, width: int = 64, height: int = 64) -> dict[str, Any]:
    return {"width": width, "height": height, "name": name, "has_related_context": False}


def shape(frame: int, points: Sequence[float], label: int = 7, kind: str = "rectangle") -> dict[str, Any]:
    """A shape as CVAT's API describes it."""
    known = {"occluded": False, "source": "manual", "attributes": [], "group": 0, "z_order": 0}
    return {"type": kind, "points": list(points), "frame": frame, "label_id": label, **known}


def fill(database: Database[dict[str, Any]], task: CvatTask, kind_key: str = "shape_type") -> None:
    """Writes meta, task and annotations; `kind_key`: the later versions write ``shape_types``."""
    database["meta"].insert_one({"task_name": task.name, "frames": task.frames})
    database["tasks"].insert_one(
        {
            "type": "task_data",
            "name": task.name,
            "labels": [{"id": id, "name": name} for id, name in LABELS],
            "created_date": "2020-05-15T10:10:08.000000Z",
            "updated_date": task.updated_date,
        }
    )
    names = dict(LABELS)
    annotations = []
    for one in task.shapes:
        meta = task.frames[int(one["frame"])]
        annotations.append(
            {
                "type": "annotation",
                "task_name": task.name,
                kind_key: one["type"],
                "occluded": one["occluded"],
                "points": one["points"],
                "frame": one["frame"],
                "label_id": one["label_id"],
                "source": one["source"],
                "object_class": names.get(one["label_id"]),
                "img_path": meta["name"],
                "img_height": meta["height"],
                "img_width": meta["width"],
            }
        )
    if annotations:
        database["annotation_data"].insert_many(annotations)
