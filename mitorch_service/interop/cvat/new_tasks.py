"""Creates tasks on a CVAT server, of images wherever they are, with what is known of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.errors import CvatError, DataError, InvalidInput, Problem
from mitorch_service.interop.cvat.documents import Shape, Tag, Task
from mitorch_service.interop.cvat.server import CvatServer
from mitorch_service.temporary_folders import temporary_folder
from mitorch_service.training.data.image_list import ImageLocation, split_entry
from mitorch_service.training.data.images.image_files import image_file
from mitorch_service.training.data.zip_index import ZipFiles


def create_task(server: CvatServer, name: str, classes: Sequence[str], paths: Iterable[str]) -> Task:
    """Creates a task of images (paths, or ``archive.zip@entry``), which have their files' names there.

    Raises CvatError, also if there is a task of this name; InvalidInput for two images of one name, which a task could
    not tell apart; DataError for one that is not there.
    """
    named: dict[str, str] = {}
    for path in paths:
        if (other := named.setdefault(file_name(path), path)) != path:
            problem = f"{other} and {path} have the same name, by which CVAT knows them: rename one"
            raise InvalidInput("IMAGES", [Problem("", problem)])
    server.check_unused(name)
    with _files(named) as files:
        return server.create_task(name, classes, files)


def create_annotated_task(
    server: CvatServer, name: str, classes: Sequence[str], images: Sequence[AnnotatedImage]
) -> Task:
    """Creates a task of images with their boxes and labels, in this order: a number goes before the name of each.

    A task that cannot be annotated is removed. Raises CvatError, DataError.
    """
    server.check_unused(name)
    width = len(str(len(images)))
    named = {f"{place:0{width}}_{file_name(image.path)}": image for place, image in enumerate(images, 1)}
    with _files({name: image.path for name, image in named.items()}) as files:
        task = server.create_task(name, classes, files)
    try:
        _annotate(server, task, named)
    except BaseException:
        server.remove(task)
        raise
    return task


def file_name(path: str) -> str:
    """The name of an image's file, or of its entry in an archive."""
    return PurePosixPath(split_entry(path)[1] or path).name


def _annotate(server: CvatServer, task: Task, named: Mapping[str, AnnotatedImage]) -> None:
    frames, labels = server.frames(task), server.labels(task)
    if missing := sorted(named.keys() - frames.keys()):
        raise CvatError(server.url, f"{missing[0]} is no frame of the new task {task.name}", "Look at it in CVAT.")
    shapes = [
        Shape.rounded(frames[name].number, labels[box.class_name], (box.left, box.top, box.right, box.bottom))
        for name, image in named.items()
        for box in image.boxes
    ]
    server.add_shapes(task, dict.fromkeys(shapes), "manual")
    tags = [Tag(frames[name].number, labels[one.class_name]) for name, image in named.items() for one in image.labels]
    server.add_tags(task, tags)


@contextmanager
def _files(named: Mapping[str, str]) -> Iterator[list[Path]]:
    """Provides files with these names, of the images: hard links to them or copies, as the SDK follows symbolic ones
    and uploads the name that it finds; or unpacked entries. Raises DataError."""
    archives = ZipFiles()
    with temporary_folder() as folder:
        (folder / "images").mkdir()
        files = []
        for name, path in named.items():
            file = folder / "images" / name
            found = image_file(ImageLocation.parse(path, Path.cwd()), archives)
            if isinstance(found, Path):
                if not found.is_file():
                    raise DataError(f"the image {path} is missing.")
                _link(found, file)
            else:
                file.write_bytes(found.getbuffer())
            files.append(file)
        yield files


def _link(file: Path, to: Path) -> None:
    try:
        to.hardlink_to(file.resolve())
    except OSError:  # on another disk, or another user's
        shutil.copyfile(file, to)
