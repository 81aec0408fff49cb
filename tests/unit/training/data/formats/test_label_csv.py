from __future__ import annotations

from pathlib import Path

import pytest

from mitorch_service.errors import DataError
from mitorch_service.training.data.class_names import ClassList
from mitorch_service.training.data.formats.registry import read_image_list


def write(folder: Path, text: str) -> Path:
    (folder / "labels.csv").write_text(text)
    return folder / "labels.csv"


@pytest.mark.parametrize(
    "text",
    [
        "filename,label\nb.png,owl\na.png,cat\n",
        'Label,id,"Image"\nowl,1,b.png\n\n cat ,2, a.png \n',
        "\ufefffile,category,xmax\r\nb.png,owl,3\r\na.png,cat,4\r\n",
    ],
)
def test_a_class_for_each_image(tmp_path: Path, text: str) -> None:
    images = read_image_list(write(tmp_path, text))
    assert (images.kind, images.classes) == ("multiclass", ("cat", "owl"))
    assert [(images.images[index], images.target(index)) for index in range(2)] == [("b.png", 1), ("a.png", 0)]


def test_images_may_be_in_a_folder_beside(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").touch()
    images = read_image_list(write(tmp_path, "filename,label\na.png,cat\n"))
    assert images.location(0).path == tmp_path / "images" / "a.png"


def test_the_training_splits_classes_number_them(tmp_path: Path) -> None:
    path = write(tmp_path, "filename,label\na.png,owl\n")
    assert read_image_list(path, None, ClassList(("cat", "owl"), "the training split")).target(0) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("filename,label\na.png,cat\na.png,owl\n", "line 3: 'a.png' has another class"),
        ("filename,label\na.png,\n", "line 2: 'a.png' has no label"),
        ("filename,label\n,cat\n", "line 2: '' has no image"),
        ("filename,label\na.png\n", "line 2: has 1 columns"),
        ("filename,label\n", "names no image"),
        ("name,kind\na.png,cat\n", "nor filename,label"),
        ("filename,label,x,y,width,height\na.png,cat,1,1,5,5\n", "is neither a header with filename,x1,y1,x2,y2,class"),
        ("filename,label,bbox\na.png,cat,1 1 5 5\n", "is neither a header with"),
    ],
)
def test_other_rows_are_told_with_their_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        read_image_list(write(tmp_path, text))


def test_columns_that_are_not_read_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_image_list(write(tmp_path, ",filename,label,split,width\n0,a.png,cat,train,9\n"), "pets")
    assert caplog.messages == ["pets: the columns 'split', 'width' are not read"]
    caplog.clear()
    read_image_list(write(tmp_path, "filename,width,class,xmin,ymin,xmax,ymax\na.png,9,cat,1,1,5,5\n"), "pets")
    assert caplog.messages == ["pets: the column 'width' is not read"]


def test_a_column_of_labels_beside_corners(tmp_path: Path) -> None:
    images = read_image_list(write(tmp_path, "path,label,x_min,y_min,x_max,y_max\na.png,cat,1,1,5,5\n"))
    assert (images.kind, images.classes) == ("detection", ("cat",))
