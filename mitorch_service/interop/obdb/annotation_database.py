"""Reads recordings and their annotations from obdb's database, as its programs fill it.

The collections are those of weed_annotations 7874ead (code/cvat_com.py): ``tasks``, ``meta`` with the frames, and
``annotation_data`` with one document for each shape. The shape's type is ``shape_type`` there, ``shape_types`` in
other versions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from bson.errors import BSONError
from pymongo import MongoClient, errors
from pymongo.collection import Collection
from pymongo.database import Database

from mitorch_service.errors import InvalidInput, Problem, StoreError, StoreUnavailable
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.wording.suggestion import did_you_mean

_NAME = "annotations"
_ANSWER_SECONDS = 10
_AT_ONCE = 1000  # annotations that the server sends together
_NAMED = 1000  # recordings that a message may suggest
_SHAPE = ("task_name", "shape_type", "shape_types", "points", "frame", "object_class", "img_path")


@dataclass(frozen=True)
class Frame:
    """An image of a recording."""

    name: str  # its path below obdb's folder of images
    width: int  # pixels
    height: int


@dataclass(frozen=True)
class Shape:
    """An annotation as a person drew it in CVAT."""

    kind: str
    points: tuple[float, ...]  # pixels; what they mean depends on the kind
    frame: int  # the index of its image in the recording's frames
    image: str | None  # the name of its image
    class_name: str | None  # None: its label is gone from CVAT


@dataclass
class Recording:
    """A task of CVAT: the frames of one film, with their annotations."""

    name: str
    updated: str  # when it was changed in CVAT last
    frames: list[Frame] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)


def read_recordings(uri: str, database: str | None, names: Sequence[str]) -> tuple[str, list[Recording]]:
    """Returns the database's name and the recordings with exactly these names, in this order. Without `database` it is
    that which the URI names, else ``annotations``, as in obdb's code.

    Each collection is read once for all of them. No index of obdb's leads to the annotations of a recording: the server
    looks at every annotation once. Raises InvalidInput for unknown recordings and damaged documents,
    StoreUnavailable, StoreError.
    """
    wanted = {"$in": list(names)}
    with _opened(uri, database) as there:
        source, collections = f"the annotations database {there.name}", there.get_collection
        recordings = {
            task["name"]: Recording(task["name"], str(task.get("updated_date", "")))
            for task in collections("tasks").find({"name": wanted}, {"_id": 0, "name": 1, "updated_date": 1})
            if isinstance(task["name"], str)  # a list that holds the name is found as well
        }
        if problems := _unknown(names, recordings, collections("tasks")):
            raise InvalidInput(source, problems)
        for meta in collections("meta").find({"task_name": wanted}, {"task_name": 1, "frames": 1}):
            _recording(recordings, "meta", meta).frames = list(_frames(meta))
        if problems := [Problem(one.name, "has no frames in meta") for one in recordings.values() if not one.frames]:
            raise InvalidInput(source, problems)
        found = collections("annotation_data").find(
            {"task_name": wanted}, dict.fromkeys(_SHAPE, 1), batch_size=_AT_ONCE
        )
        for annotation in found:
            _recording(recordings, "annotation_data", annotation).shapes.append(_shape(annotation))
    return there.name, [recordings[name] for name in dict.fromkeys(names)]


@contextmanager
def _opened(uri: str, database: str | None) -> Iterator[Database[dict[str, Any]]]:
    """Gives the database for reading."""
    try:
        with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=_ANSWER_SECONDS * 1000, tz_aware=True) as client:
            yield client.get_default_database(_NAME) if database is None else client[database]
    except errors.ServerSelectionTimeoutError as error:
        problem = f"does not answer within {_ANSWER_SECONDS} s: {mask_secrets(str(error).partition(',')[0])}"
        raise StoreUnavailable("the annotations database", problem, "Check its address, and start it.") from None
    except (errors.PyMongoError, BSONError, ValueError) as error:
        told = error.details.get("errmsg") if isinstance(error, errors.OperationFailure) and error.details else error
        remedy = "Check the user, the password and authSource in its address, and the name of the database."
        raise StoreError("the annotations database", mask_secrets(str(told)), remedy) from None


def _unknown(names: Sequence[str], found: Mapping[str, Recording], tasks: Collection[dict[str, Any]]) -> list[Problem]:
    missing = [name for name in names if name not in found]
    listed = tasks.find({}, {"_id": 0, "name": 1}, limit=_NAMED) if missing else ()
    known = [name for one in listed if isinstance(name := one.get("name"), str)]
    there = f"{len(known)} are there" if known else "none is there: check the name of the database"
    return [
        Problem(name, f"there is no recording of this name; {did_you_mean(name, known)}{there}") for name in missing
    ]


def _recording(found: Mapping[str, Recording], collection: str, document: Mapping[str, Any]) -> Recording:
    name = document.get("task_name")
    if not isinstance(name, str) or name not in found:
        raise _damaged(collection, document, "task_name", name, "the name of a recording")
    return found[name]


def _frames(meta: Mapping[str, Any]) -> Iterator[Frame]:
    frames = meta.get("frames") or []
    if not isinstance(frames, list):
        raise _damaged("meta", meta, "frames", frames, "a list")
    for place, frame in enumerate(frames):
        try:
            found = Frame(str(frame["name"]), int(frame["width"]), int(frame["height"]))
        except (TypeError, KeyError, ValueError, OverflowError):
            raise _damaged("meta", meta, f"frames[{place}]", frame, "an object with name, width and height") from None
        if found.width < 1 or found.height < 1:
            raise _damaged("meta", meta, f"frames[{place}]", frame, "an image with a width and a height of 1 or more")
        yield found


def _shape(annotation: Mapping[str, Any]) -> Shape:
    try:
        points = tuple(float(value) for value in annotation.get("points") or ())
    except (TypeError, ValueError, OverflowError):
        points = (float("nan"),)
    if not all(map(isfinite, points)):
        raise _damaged("annotation_data", annotation, "points", annotation.get("points"), "a list of numbers")
    frame = annotation.get("frame")
    if isinstance(frame, bool) or not isinstance(frame, int | float) or not isfinite(frame) or frame != int(frame):
        raise _damaged("annotation_data", annotation, "frame", frame, "a whole number")
    kind = annotation.get("shape_type") or annotation.get("shape_types") or "rectangle"
    name = str(annotation.get("object_class") or "").strip()
    image = annotation.get("img_path")
    return Shape(str(kind), points, int(frame), image if isinstance(image, str) else None, name or None)


def _damaged(collection: str, document: Mapping[str, Any], name: str, value: object, expected: str) -> InvalidInput:
    shown = repr(value)[:80]
    problem = f"{document.get('task_name')}: {name} is {shown}, not {expected}. Correct it there, or fill it again."
    return InvalidInput(f"the annotations database, {collection}", [Problem(str(document.get("_id")), problem)])
