from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from mitorch_service.errors import DataError
from mitorch_service.training.data.file_checks import check_files
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageList
from tests.unit.training.pictures import png
from tests.unit.training.read_boxes import boxes

LABELS = """<meta><task><labels><label><name>owl</name><color>#fff</color><attributes><attribute><name>age</name>
</attribute></attributes></label><label><name>cat</name></label><label><name>nose</name><parent>cat</parent></label>
</labels></task></meta>"""
BOX = '<box label="cat" source="manual" occluded="1" xtl="1" ytl="2" xbr="5.5" ybr="6" z_order="0"></box>'


def document(*images: str, meta: str = LABELS) -> str:
    start = '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
    return f"{start}{meta}{''.join(images)}</annotations>"


def image(name: str, *shapes: str, more: str = "") -> str:
    return f'<image id="0" name="{name}" width="20" height="10" {more}>\n{"".join(shapes)}</image>'


def read(folder: Path, content: str, *images: str, name: str = "annotations.xml") -> ImageList:
    for one in images:
        (folder / one).parent.mkdir(parents=True, exist_ok=True)
        (folder / one).write_bytes(png("red", (20, 10)))
    (folder / name).write_text(content)
    return read_image_list(folder / name, "birds")


def test_boxes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = read(tmp_path, document(image("a.png", BOX), image("day/b.png")), "images/a.png", "images/day/b.png")
    assert list(found.images) == ["images/a.png", "images/day/b.png"]
    assert found.classes == ("owl", "cat")  # those of the task in its order, not a skeleton's parts
    assert boxes(found) == [("cat", [1, 2, 5.5, 6])]
    assert boxes(found, 1) == []
    assert found.stated_size(1) == (20, 10)
    check_files(found)
    assert caplog.messages == []
    assert list(read_image_list(tmp_path).images) == list(found.images)  # the folder that has the file


SHAPES = {
    "box": ('xtl="2" ytl="2" xbr="8" ybr="4" rotation="90.00"', [4, 0, 6, 6], "rotated boxes"),
    "polygon": ('points="1.5,2;7,3;4,8"', [1.5, 2, 7, 8], "polygons"),
    "polyline": ('points="1,2;7,3"', [1, 2, 7, 3], "polylines"),
    "points": ('points="1,2;7,3"', [1, 2, 7, 3], "groups of points"),
    "ellipse": ('cx="5" cy="5" rx="3" ry="1" rotation="90"', [4, 2, 6, 8], "ellipses"),
    "mask": ('rle="3, 2, 1" left="1" top="2" width="3" height="2"', [1, 2, 4, 4], "masks"),
    "cuboid": (
        'xtl1="1" ytl1="2" xbl1="1" ybl1="8" xtr1="5" ytr1="2" xbr1="5" ybr1="8" '
        'xtl2="7" ytl2="1" xbl2="7" ybl2="7" xtr2="9" ytr2="1" xbr2="9" ybr2="7"',
        [1, 1, 9, 8],
        "cuboids",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_other_shapes_become_the_boxes_around_them(
    shape: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    numbers, box, kind = SHAPES[shape]
    element = f'<{shape} label="owl" {numbers}><attribute name="age">3</attribute></{shape}>'
    found = read(tmp_path, document(image("a.png", element, BOX)))
    assert boxes(found) == [("owl", box), ("cat", [1, 2, 5.5, 6])]
    assert caplog.messages == [
        f"birds: shapes that became the boxes around them: 1 {kind}",
        "birds: 1 left out (an attribute of a shape or an image); the first is line 5, 'age'",
    ]


def test_skeletons(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    points = '<points label="nose" outside="{}" points="{}"/>'
    away = points.format(1, "9,9")
    shown = f'<skeleton label="cat">{points.format(0, "1,2")}{points.format(0, "4,3")}{away}</skeleton>'
    unseen = f'<skeleton label="cat">{away}</skeleton>'
    assert boxes(read(tmp_path, document(image("a.png", shown, unseen)))) == [("cat", [1, 2, 4, 3])]
    assert caplog.messages == ["birds: shapes that became the boxes around them: 1 skeletons"]


def test_tags(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    owl, cat = (f'<tag label="{name}" source="manual"></tag>' for name in ("owl", "cat"))
    one = read(tmp_path, document(image("a.png", cat), image("b.png", owl), image("c.png")))
    assert (one.kind, list(one.images), [one.target(0), one.target(1)]) == ("multiclass", ["a.png", "b.png"], [1, 0])
    untagged = "birds: 1 left out (an image without a tag, where others have one); the first is 'c.png'"
    assert caplog.messages == [untagged]
    several = read(tmp_path, document(image("a.png", cat, owl), image("b.png"), meta=""))
    assert (several.kind, several.classes) == ("multilabel", ("cat", "owl"))
    assert [several.target(0), several.target(1)] == [(0, 1), ()]
    caplog.clear()
    mixed = read(tmp_path, document(image("a.png", cat, BOX)))
    assert boxes(mixed) == [("cat", [1, 2, 5.5, 6])]
    assert caplog.messages == ["birds: 1 left out (a tag of an image, where others have boxes); the first is line 5"]


def exported(path: Path, content: str, **images: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", content)
        for name, data in images.items():
            archive.writestr(name, data)
    return path


def test_the_zip_that_cvat_exports(tmp_path: Path) -> None:
    content = document(image("a.png", BOX))
    inside = read_image_list(exported(tmp_path / "task.zip", content, **{"images/a.png": png("red")}))
    assert list(inside.images) == ["task.zip@images/a.png"]
    check_files(inside)
    (tmp_path / "a.png").write_bytes(png("red"))
    beside = read_image_list(exported(tmp_path / "task.zip", content))
    assert list(beside.images) == ["a.png"]
    check_files(beside)


def test_a_project_has_its_images_by_subset(tmp_path: Path) -> None:
    content = document(image("a.png", more='subset="train"'), image("a.png", BOX, more='subset="val"'))
    found = read(tmp_path, content, "images/train/a.png", "images/val/a.png")
    assert list(found.images) == ["images/train/a.png", "images/val/a.png"]
    with pytest.raises(DataError, match=r"two images have the name 'a\.png'.*task by task"):
        read(tmp_path / "other", content, "b.png")


FRAMES = """<meta><task><start_frame>0</start_frame><stop_frame>8</stop_frame><frame_filter>step=2</frame_filter>
<labels><label><name>cat</name></label></labels></task></meta>"""


def track(*frames: tuple[int, int]) -> str:
    shapes = "".join(
        f'\n<box frame="{frame}" keyframe="1" outside="{outside}" occluded="0" xtl="{frame}" ytl="1" xbr="9" ybr="3"/>'
        for frame, outside in frames
    )
    return f'<track id="0" label="cat" source="manual">{shapes}</track>'


def test_tracks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = document(track((0, 0), (2, 0), (4, 1), (8, 0)), track((2, 0), (4, 0)), meta=FRAMES)
    found = read(tmp_path, content)
    assert list(found.images) == [f"images/frame_{number:06d}.PNG" for number in (0, 2, 4, 6, 8)]
    assert [[box[0] for _, box in boxes(found, index)] for index in range(5)] == [[0], [2, 2], [4], [], [8]]
    assert caplog.messages == []  # a track may end, and begin again
    images = [f"images/frame_00000{number}.jpg" for number in (0, 2, 4, 8)]  # one was deleted in the task
    assert list(read(tmp_path, content, *images).images) == images
    archive = exported(tmp_path / "t.zip", content, **{name: png("red") for name in images})
    assert list(read_image_list(archive).images) == [f"t.zip@{name}" for name in images]


def test_frames_that_a_track_does_not_list_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(tmp_path, document(track((0, 0), (6, 0)), meta=FRAMES))
    assert caplog.messages == [
        "birds: 1 left out (a frame between those that a track lists: CVAT's own export lists them all); "
        "the first is line 5, frame 2"
    ]


def test_a_frame_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"birds, line 4: there is no image of frame 0, such as frame_000000\.PNG"):
        read(tmp_path, document(track((0, 0)), meta=FRAMES), "images/frame_000002.png")


@pytest.mark.parametrize(("orientation", "box"), [(6, [2, 4.5, 6, 9]), (3, [4.5, 14, 9, 18]), (1, [1, 2, 5.5, 6])])
def test_images_that_are_turned_to_be_seen(orientation: int, box: list[float], tmp_path: Path) -> None:
    """CVAT's pixels are those of the image as it is seen; a data set's are those of the image as stored."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    size = (10, 20) if orientation != 6 else (20, 10)
    Image.new("RGB", size).save(buffer, "JPEG", exif=exif)
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    upright = '<image name="a.jpg" width="10" height="20">' + BOX + "</image>"
    found = read(tmp_path, document(upright))
    assert found.stated_size(0) == size
    assert boxes(found) == [("cat", box)]


ENTITIES = "".join(f'<!ENTITY e{number + 1} "{f"&e{number};" * 9}">' for number in range(20))
BOMB = f"<!DOCTYPE b [{ENTITIES}]><annotations>&e20;</annotations>"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (BOMB, "line 1: a document type, which annotations do not have"),
        ("<annotations><version>", r"cannot be read as XML \(no element found: line 1"),
        ("<annotation><object/></annotation>", "the root is <annotation>.*Pascal VOC's files by their folder"),
        ("<html/>", "line 1: the root is <html>, not CVAT's <annotations>"),
        (document("<image/>"), "line 4: an <image> has no name"),
        (document(image("a.png", '<box xtl="1" ytl="1" xbr="2" ybr="2"/>')), "line 5: a <box> has no label"),
        (document(image("a.png", '<box label="cat" xtl="1" ytl="1" xbr="2"/>')), r"line 5: a <box> .*KeyError: 'ybr'"),
        (document(image("a.png", '<mask label="cat" left="x"/>')), "line 5: a <mask> does not have its numbers"),
        (document(image("a.png", '<polygon label="cat" points="1,2;3"/>')), "line 5: a <polygon> does not have"),
        (document(image("a.png", BOX.replace("cat", "dog"))), r"line 5: class 'dog' is not in the labels of its task"),
        (document(image("a.png"), image("a.png")), "two images have the name 'a.png'"),
        (document(image("a.png"), track((0, 0))), "has both images and tracks"),
        (document(track((0, 0)).replace('frame="0"', 'frame="-1"')), "line 5: '-1' is not the number of a frame"),
        (document(), "names no image"),
    ],
)
def test_damage_is_named_with_its_line(content: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"birds.*{problem}"):
        read(tmp_path, content)


def test_archives_that_are_none_of_cvat(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", b"")
    with pytest.raises(DataError, match=r"the archive has no annotations\.xml.*Give CVAT's export"):
        read_image_list(tmp_path / "a.zip")
    (tmp_path / "b.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"b\.zip: cannot be read \(File is not a zip file\)"):
        read_image_list(tmp_path / "b.zip")


def test_unknown_elements_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(tmp_path, document(image("a.png", '<spline label="cat"/>', BOX)))
    assert caplog.messages == [
        "birds: 1 left out (an element that is no shape and no tag); the first is line 5, 'spline'"
    ]
