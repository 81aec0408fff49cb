"""The version that "latest" is, and what two versions have in common."""

from __future__ import annotations

import pytest

from mitorch_service.interop.exp_config.shared_images import shared_images
from mitorch_service.interop.exp_config.version_pair import choose_pair

OLD, NEW, NEWEST = "200101000000", "210101000000", "220101000000"


def names(**stamps: list[str]) -> list[str]:
    return [f"{kind}_pothole_{stamp}.csv" for kind, found in stamps.items() for stamp in found] + ["notes.txt"]


def chosen(known: list[str], train: str = "latest", test: str = "latest") -> tuple[str, str, bool]:
    pair, problems = choose_pair("pothole", train, test, known, "datasets")
    assert problems == []
    assert pair is not None
    return pair.train.removesuffix(".csv")[-12:], pair.test.removesuffix(".csv")[-12:], pair.is_of_one_version


def test_latest_is_the_newest_stamp_with_both_files() -> None:
    known = names(train=[OLD, NEW, NEWEST], test=[NEW, OLD])
    assert chosen(known) == (NEW, NEW, True)
    assert chosen(list(reversed(known))) == (NEW, NEW, True)


def test_without_such_a_pair_it_is_the_newest_of_each() -> None:
    assert chosen(names(train=[OLD, NEWEST], test=[NEW])) == (NEWEST, NEW, False)


def test_a_name_that_is_given_decides_for_the_other() -> None:
    known = names(train=[OLD, NEW, NEWEST], test=[OLD, NEW])
    assert chosen(known, train=f"train_pothole_{OLD}.csv") == (OLD, OLD, True)
    assert chosen(known, test=f"test_pothole_{OLD}.csv") == (OLD, OLD, True)
    assert chosen(known, train=f"train_pothole_{NEWEST}.csv") == (NEWEST, NEW, False)
    both = {"train": f"train_pothole_{NEWEST}.csv", "test": f"test_pothole_{OLD}.csv"}
    assert chosen(known, **both) == (NEWEST, OLD, False)


def test_other_use_cases_and_other_names_do_not_count() -> None:
    known = [*names(train=[OLD], test=[OLD]), f"train_potholes_{NEW}.csv", f"test_potholes_{NEW}.csv"]
    assert chosen([*known, f"train_pothole_{NEW}.csv.bak", "test_pothole_latest.csv"]) == (OLD, OLD, True)


@pytest.mark.parametrize(
    ("known", "train", "told"),
    [
        (names(test=[OLD]), "latest", "there is no train_pothole_yymmddHHMMSS.csv in datasets"),
        (names(train=[OLD], test=[OLD]), f"train_pothole_{NEW}.csv", "did you mean"),
    ],
)
def test_a_version_that_there_is_not_is_told(known: list[str], train: str, told: str) -> None:
    pair, (problem,) = choose_pair("pothole", train, "latest", known, "datasets")
    assert (pair, problem.path) == (None, "TRAIN_CSV")
    assert told in problem.message


HEADER = "filename,class,xmin,ymin,xmax,ymax"


def test_images_in_both_are_named() -> None:
    train = [HEADER, "a.jpg,x,1,2,3,4", "a.jpg,y,1,2,3,4", "b.jpg,,,,,"]
    test = [HEADER, "b.jpg,x,1,2,3,4", "c.jpg,x,1,2,3,4", "b.jpg,x,5,6,7,8"]
    found = shared_images(train, test)
    assert (found.count, found.first) == (1, ("b.jpg",))
    assert "1 image in both, so that metrics flatter: b.jpg" in found.remark("train.csv", "test.csv")
    assert "no image in common" in shared_images(train, [HEADER]).remark("a", "b")


@pytest.mark.parametrize("lines", [[], [""], ['"open'], ["\0"], [HEADER, ","]])
def test_files_that_are_no_csv_have_no_images(lines: list[str]) -> None:
    assert shared_images(lines, lines).count == 0
