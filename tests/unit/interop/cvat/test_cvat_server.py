"""Gets data from a CVAT server and adds to it, through CVAT's own SDK; with a server's faults."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box, Label
from mitorch_service.annotations.writers.registry import write_annotations
from mitorch_service.errors import CvatError, DataError, InvalidInput
from mitorch_service.file_access import PRIVATE
from mitorch_service.interop.cvat.new_tasks import create_annotated_task, create_task
from mitorch_service.interop.cvat.pull import PulledDataset, frame_name, pull
from mitorch_service.interop.cvat.push import Rule, add_files, annotate, iou, update_ground_truth
from mitorch_service.interop.cvat.server import CvatServer, open_cvat
from mitorch_service.training.data.splits import read_splits
from mitorch_service.training.data.targets import Boxes
from tests.cvat_server.server import PASSWORD, TOKEN, USER, CvatStandIn, Task, cvat_server
from tests.unit.training.pictures import png

IMAGES = {f"{name}.png": png("red", (20, 10)) for name in "abcd"}


@pytest.fixture
def cvat() -> Iterator[CvatStandIn]:
    with cvat_server() as running:
        yield running


@pytest.fixture
def server(cvat: CvatStandIn) -> Iterator[CvatServer]:
    with opened(cvat) as server:
        yield server


def opened(cvat: CvatStandIn, auth: str = f"{USER}:{PASSWORD}") -> AbstractContextManager[CvatServer]:
    return open_cvat(cvat.url, auth, sleep=lambda _: None, check_seconds=0)


@pytest.fixture
def birds(cvat: CvatStandIn) -> Task:
    task = cvat.add_task("birds", ["owl", "cat"], dict(IMAGES), "completed")
    cvat.add_task("birds at night", ["owl"], dict(IMAGES))  # whose name contains the other's
    for image in IMAGES:
        cvat.draw(task, image, "cat", 1, 2, 5.5, 6)
    return task


def pulled(server: CvatServer, folder: Path, *named: str, status: str | None = None) -> PulledDataset:
    return pull(server, server.find_tasks(named or ["birds"], status), folder, PRIVATE, 2)


def test_pulled_tasks_are_a_data_set(server: CvatServer, birds: Task, tmp_path: Path) -> None:
    found = pulled(server, tmp_path, status="completed")
    lists = read_splits(found.splits)
    assert {split: len(images) for split, images in lists.items()} == {"train": 2, "val": 2}
    boxes = lists["train"].target(0)
    assert isinstance(boxes, Boxes)
    assert boxes.boxes.tolist() == [[1, 2, 5.5, 6]]
    (task,) = found.lineage["tasks"]
    assert (task["name"], task["jobs"][0]["state"]) == ("birds", "completed")
    assert found.remarks[0].startswith("4 images with 4 boxes of 1 task, 1 of them downloaded")


def test_only_what_has_changed_is_downloaded_again(
    cvat: CvatStandIn, server: CvatServer, birds: Task, tmp_path: Path
) -> None:
    other = cvat.add_task("other", ["owl"], dict(IMAGES))
    cvat.draw(other, "a.png", "owl", 0, 0, 4, 4)
    first = pulled(server, tmp_path, "birds", str(other.id))
    assert cvat.count("GET /download") == 2
    assert pulled(server, tmp_path, "birds", "other").splits == first.splits
    assert cvat.count("GET /download") == 2
    cvat.draw(birds, "a.png", "owl", 7, 7, 9, 9)
    again = pulled(server, tmp_path, "birds", "other")
    assert again.splits != first.splits
    assert cvat.count("GET /download") == 3


def test_tasks_that_are_not_there(server: CvatServer, birds: Task, tmp_path: Path) -> None:
    with pytest.raises(CvatError, match="there is no task 'bird'"):
        pulled(server, tmp_path, "bird")
    with pytest.raises(CvatError, match="there is no task 'birds' with the status annotation"):
        pulled(server, tmp_path, status="annotation")
    with pytest.raises(CvatError, match="cannot look for task 77: it answered 404"):
        pulled(server, tmp_path, "77")
    with pytest.raises(InvalidInput, match="no image has a box"):
        pulled(server, tmp_path, "birds at night")


def test_tags_are_the_classes_of_a_data_set(cvat: CvatStandIn, server: CvatServer, tmp_path: Path) -> None:
    task = cvat.add_task("pets", ["owl", "cat"], dict(IMAGES))
    for image, label in (("a.png", "cat"), ("b.png", "owl"), ("c.png", "cat")):
        cvat.tag(task, image, label)
    found = pulled(server, tmp_path, "pets")
    lists = read_splits(found.splits)
    assert {split: images.kind for split, images in lists.items()} == {"train": "multiclass", "val": "multiclass"}
    labels = [(images.classes[images.targets.labels_of(i)[0]]) for images in lists.values() for i in range(len(images))]
    assert sorted(labels) == ["cat", "cat", "owl"]
    assert "3 images with 3 tags of 1 task" in found.remarks[0]
    cvat.tag(task, "a.png", "owl")
    lists = read_splits(pulled(server, tmp_path, "pets").splits)
    assert {images.kind for images in lists.values()} == {"multilabel"}
    assert sum(map(len, lists.values())) == 3
    assert {file.with_name("labels.txt").is_file() for file in pulled(server, tmp_path, "pets").splits.values()} == {
        True
    }


def test_tasks_with_tags_are_left_out_where_others_have_boxes(
    cvat: CvatStandIn, server: CvatServer, birds: Task, tmp_path: Path
) -> None:
    task = cvat.add_task("pets", ["owl", "cat"], dict(IMAGES))
    cvat.tag(task, "a.png", "cat")
    found = pulled(server, tmp_path, "birds", "pets")
    assert sum(map(len, read_splits(found.splits).values())) == 4
    assert found.remarks[1] == "1 image of tasks with tags left out, as others have boxes: pull those apart"


def test_credentials(cvat: CvatStandIn, birds: Task) -> None:
    with opened(cvat, TOKEN) as server:
        assert len(server.find_tasks([])) == 2
    for auth, problem in ((f"{USER}:wrong-pass", "refuses the login"), ("wrong-token", "refuses to look for tasks")):
        with pytest.raises(CvatError, match=f"{problem}.*MITORCH_CVAT_AUTH") as caught, opened(cvat, auth) as server:
            server.find_tasks(["birds"])
        assert "wrong" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_server_that_fails_twice_and_takes_long(
    cvat: CvatStandIn, server: CvatServer, birds: Task, tmp_path: Path
) -> None:
    cvat.faults += [("GET /api/tasks", "500"), ("GET /api/tasks", "500"), ("GET /download", "cut")]
    cvat.slow = 5
    assert len(pulled(server, tmp_path).splits) == 2
    cvat.faults += [("GET /api/tasks", "500")] * 4
    with pytest.raises(CvatError, match=r"cannot look for tasks: it answered 500.*Try again later"):
        server.find_tasks(["birds"])


def predictions(
    *boxes: tuple[str, str, float, tuple[float, float, float, float]],
) -> Callable[[Sequence[str]], list[AnnotatedImage]]:
    """A model that finds the same, whatever it sees."""

    def predict(paths: Sequence[str]) -> list[AnnotatedImage]:
        return [
            AnnotatedImage(path, 20, 10, tuple(Box(c, *box, s) for n, c, s, box in boxes if n == frame_name(path)))
            for path in paths
        ]

    return predict


FOUND = predictions(
    ("a.png", "cat", 0.9, (1, 2, 5, 6)),  # where a person drew one
    ("a.png", "owl", 0.8, (10, 2, 15.123, 6)),
    ("b.png", "owl", 0.5, (10, 2, 15, 6)),
    ("c.png", "dog", 0.9, (10, 2, 15, 6)),
)


@pytest.mark.parametrize("fault", [None, "500", "cut", "cut after"])
def test_predictions_are_added_once(
    fault: str | None, cvat: CvatStandIn, server: CvatServer, birds: Task, tmp_path: Path
) -> None:
    """However often the request for them has to be sent."""
    if fault is not None:
        cvat.faults.append(("PATCH /api/tasks/1/annotations", fault))
    (task,) = server.find_tasks(["birds"])
    done = annotate(server, task, FOUND, Rule(0.5, 0.1), tmp_path, PRIVATE)
    added = [shape for shape in birds.shapes if shape["source"] == "auto"]
    assert [(one["frame"], one["points"], one["score"]) for one in added] == [(0, [10, 2, 15.12, 6], 0.8)]
    assert done.added == 1
    assert done.left_out == {
        "where a box is already": 1,
        "of a lower score": 1,
        "of dog, which is no label of the task": 1,
    }
    assert cvat.count("PATCH") == (1 if fault in {None, "cut after"} else 2)
    assert annotate(server, server.find_tasks(["birds"])[0], FOUND, Rule(0.5, 0.1), tmp_path, PRIVATE).added == 0


@pytest.mark.parametrize("fault", [None, "500", "cut", "cut after"])
def test_a_new_task(fault: str | None, cvat: CvatStandIn, server: CvatServer, tmp_path: Path) -> None:
    """An upload that broke off leaves no second task."""
    if fault is not None:
        cvat.faults.append(("POST /api/tasks/1/data Upload-Multiple", fault))
    for name, content in IMAGES.items():
        (tmp_path / name).write_bytes(content)
    task = server.create_task("new", ["owl", "cat"], [tmp_path / name for name in IMAGES])
    assert [(one.name, sorted(one.images)) for one in cvat.tasks.values()] == [("new", sorted(IMAGES))]
    assert (task.name, list(server.labels(task))) == ("new", ["owl", "cat"])
    assert cvat.tasks[task.id].images == IMAGES


def test_a_task_of_tags_gets_boxes_on_all_its_images(cvat: CvatStandIn, server: CvatServer, tmp_path: Path) -> None:
    task = cvat.add_task("pets", ["owl", "cat"], dict(IMAGES))
    cvat.tag(task, "b.png", "cat")
    (found,) = server.find_tasks(["pets"])
    assert annotate(server, found, FOUND, Rule(0.5, 0.1), tmp_path, PRIVATE).added == 2  # both on a.png


def test_a_new_task_of_entries_of_archives(cvat: CvatStandIn, server: CvatServer, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        archive.writestr("deep/a.png", IMAGES["a.png"])
    (tmp_path / "b.png").write_bytes(IMAGES["b.png"])
    paths = [f"{tmp_path}/some.zip@deep/a.png", str(tmp_path / "b.png")]
    task = create_task(server, "mixed", ["owl"], paths)
    assert sorted(cvat.tasks[task.id].images) == ["a.png", "b.png"]
    with pytest.raises(CvatError, match=r"there is a task mixed already.*Choose another name"):
        create_task(server, "mixed", ["owl"], paths)
    with pytest.raises(InvalidInput, match="have the same name"):
        create_task(server, "other", ["owl"], [*paths, f"{tmp_path}/a.png"])
    with pytest.raises(DataError, match="is missing"):
        create_task(server, "other", ["owl"], [f"{tmp_path}/gone.png"])
    assert len(cvat.tasks) == 1


def annotated(folder: Path) -> list[AnnotatedImage]:
    """Two images of one name, with boxes and with a class."""
    found = []
    for name, boxes, labels in (
        ("train", (Box("cat", 1, 2, 5.5, 6), Box("owl", 7, 2, 9, 6)), ()),
        ("val", (), (Label("cat"),)),
    ):
        (folder / name).mkdir()
        (folder / name / "1.png").write_bytes(IMAGES["a.png"])
        found.append(AnnotatedImage(str(folder / name / "1.png"), 20, 10, boxes, labels))
    return found


def test_a_new_task_with_annotations(cvat: CvatStandIn, server: CvatServer, tmp_path: Path) -> None:
    task = create_annotated_task(server, "suspects", ["owl", "cat"], annotated(tmp_path))
    made = cvat.tasks[task.id]
    assert sorted(made.images) == ["1_1.png", "2_1.png"]
    assert [(one["frame"], one["label_id"], one["points"]) for one in made.shapes] == [
        (0, 101, [1, 2, 5.5, 6]),
        (0, 100, [7, 2, 9, 6]),
    ]
    assert [(one["frame"], one["label_id"]) for one in made.tags] == [(1, 101)]


def test_a_new_task_that_cannot_be_annotated_is_removed(cvat: CvatStandIn, server: CvatServer, tmp_path: Path) -> None:
    cvat.faults.append(("PATCH /api/tasks/1/annotations", "400"))
    with pytest.raises(CvatError, match="cannot add annotations: it answered 400"):
        create_annotated_task(server, "suspects", ["owl", "cat"], annotated(tmp_path))
    assert not cvat.tasks


def test_files(cvat: CvatStandIn, server: CvatServer, birds: Task, tmp_path: Path) -> None:
    shown = (Box("cat", 1, 2, 5.5, 6), Box("owl", 7, 2, 9, 6))
    images = [AnnotatedImage("a.png", 20, 10, shown), AnnotatedImage("gone.png", 20, 10, shown[:1])]
    write_annotations("cvat", images, ["owl", "cat"], tmp_path / "birds.xml")
    before = len(birds.shapes)
    for added in (1, 0):
        (done,) = add_files(server, [tmp_path / "birds.xml"])
        assert (done.added, done.left_out["of an image that the task does not have"]) == (added, 1)
        assert done.left_out["there already"] == 2 - added
    assert len(birds.shapes) == before + 1


def test_what_people_accepted_becomes_ground_truth(cvat: CvatStandIn, server: CvatServer) -> None:
    truth = cvat.add_task("field 7 gt_val", ["cat", "owl"], dict(IMAGES))
    auto = cvat.add_task("field 7 auto_resnet18", ["owl", "cat"], dict(IMAGES))
    cvat.add_task("field 8 auto_resnet18", ["owl", "cat"], dict(IMAGES))
    cvat.draw(truth, "a.png", "cat", 1, 2, 5, 6)
    cvat.draw(auto, "a.png", "cat", 1, 2, 5, 6)
    cvat.draw(auto, "b.png", "owl", 1, 2, 5, 6)
    (done,) = update_ground_truth(server, "gt_val", "auto_resnet18")
    assert (done.task.name, done.added, done.left_out) == ("field 7 gt_val", 1, {"there already": 1})
    assert (truth.shapes[-1]["frame"], truth.shapes[-1]["label_id"]) == (1, 101)  # ids are those of the other task
    with pytest.raises(CvatError, match="no task with 'auto_vgg' in its name matches one with 'gt_val'"):
        update_ground_truth(server, "gt_val", "auto_vgg")


def test_the_overlap_of_boxes() -> None:
    assert iou(Box("a", 0, 0, 2, 2), Box("b", 1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert iou(Box("a", 0, 0, 2, 2), Box("b", 2, 0, 3, 2)) == 0
