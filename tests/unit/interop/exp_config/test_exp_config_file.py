"""exp_config.json: what it says, and that everything that is wrong with it is told at once, each key once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.interop.exp_config.exp_config_file import LATEST, read_exp_config
from mitorch_service.interop.exp_config.workspace_file import read_workspace
from mitorch_service.models.config.legacy_formats import is_exp_config
from tests.exp_configs import EXP_CONFIG, WORKSPACE

THIRTY: dict[str, Any] = {
    "ENV_CONFIG_FIEL": "dev_config.json",
    "DESCRIPTION": 5,
    "EXP_NAM": "pothole",
    "COMPUTE_NAME": "test cluster",
    "DOCKER_IMAGE": "",
    "DOCKER_IMAGE_NAME": "other",
    "DATA_MONT": "test_data",
    "IMAGE_TYPE": "pot/hole",
    "TRAIN_CSV": "newest",
    "TEST_CSV": 5,
    "EVAL_CONF": 50,
    "RUN_PARAMS": {"STEP": 1000, "EPOCHS": 3},
    "MODEL_PARAMS": {
        "BASE_MODEL": "faster_rcnn_resnet1001",
        "BASEMODEL": "x",
        "SECOND_STAGE": {},
        "FIRST_STAGE": {
            "STRIDE": 12,
            "STRIDES": 16,
            "NMS_IOU_THRESHOLD": 5,
            "NMS_IOU": 0.5,
            "NMS_SCORE_THRESHOLD": -1,
            "MAX_PROPOSALS": 0,
            "MAX_PROPOSAL": 200,
            "LOCALIZATION_LOSS_WEIGHT": "2.0x",
            "LOCALISATION_LOSS_WEIGHT": 2.0,
            "OBJECTNESS_LOSS_WEIGHT": -1,
            "OBJECTNESS_WEIGHT": 1,
        },
    },
    "HYPERTUNE": "perhaps",
    "HYPER_TUNE": True,
    "NODES": 0,
    "NODE": 3,
}


def told(**changes: Any) -> dict[str, str]:
    """The problems of the file with these changes, by key."""
    file, problems = read_exp_config({**EXP_CONFIG, **changes})
    assert (file is None) == bool(problems)
    return {problem.path: problem.message for problem in problems}


def test_the_file_of_the_documentation_is_right() -> None:
    file, problems = read_exp_config(EXP_CONFIG)
    assert problems == []
    assert file is not None
    assert file.settings.model_dump(exclude_unset=True) == EXP_CONFIG


def test_thirty_mistakes_are_told_at_once_each_key_once() -> None:
    file, problems = read_exp_config(THIRTY)
    assert file is None
    assert set(Counter(problem.path for problem in problems).values()) == {1}
    wrong = {problem.path: problem.message for problem in problems}
    assert len(wrong) == 30
    assert "did you mean 'EXP_NAME'?" in wrong["EXP_NAM"] and "EXP_NAME" not in wrong
    assert "did you mean 'DATA_MOUNT'?" in wrong["DATA_MONT"] and "DATA_MOUNT" not in wrong
    assert "did you mean 'STEPS'?" in wrong["RUN_PARAMS.STEP"] and "RUN_PARAMS.STEPS" not in wrong
    assert wrong["MODEL_PARAMS.FIRST_STAGE.STRIDE"].startswith("12 is not known; ")
    assert wrong["EVAL_CONF"] == "must be 1 or less (it is 50)"
    assert wrong["TRAIN_CSV"].startswith('must be "latest", or the name of a .csv file')
    assert wrong["MODEL_PARAMS.BASE_MODEL"].count("faster_rcnn_resnet1") == 3
    assert wrong["DOCKER_IMAGE_NAME"] == "says what DOCKER_IMAGE says: remove one of them"


def test_what_the_programs_of_the_original_read_is_understood() -> None:
    given = {key: value for key, value in EXP_CONFIG.items() if key != "DOCKER_IMAGE"}
    file, _ = read_exp_config({**given, "DOCKER_IMAGE_NAME": "acr.io/tf:1", "TF_VERSION": 2, "TRAIN_CSV": "Latest"})
    assert file is not None
    assert (file.settings.DOCKER_IMAGE, file.ignored, file.settings.TRAIN_CSV) == (
        "acr.io/tf:1",
        ["TF_VERSION"],
        LATEST,
    )


def test_a_search_of_one_run_compares_nothing() -> None:
    assert told(HYPERTUNE=True, NODES=1) == {
        "NODES": "is the number of runs that HYPERTUNE compares: 2 or more (it is 1)"
    }


def test_a_search_is_asked_for_by_true_alone() -> None:
    told_of = {value: told(HYPERTUNE=value) for value in ("yes", "true", 1)}
    assert told_of["yes"] == {"HYPERTUNE": 'must be true or false, without quotes (it is "yes")'}
    assert list(told_of["true"]) == list(told_of[1]) == ["HYPERTUNE"]


def test_it_is_known_by_its_keys() -> None:
    assert all(map(is_exp_config, (EXP_CONFIG, THIRTY)))
    others: list[dict[str, Any]] = [{"model": {}, "IMAGE_TYPE": 1}, {"job_type": "search"}, {"variants": []}, {}]
    assert not any(map(is_exp_config, others))


def test_the_workspace_is_named_by_a_file_beside_it_or_in_configuration(tmp_path: Path) -> None:
    source = tmp_path / "src" / "training"
    (tmp_path / "configuration").mkdir()
    source.mkdir(parents=True)
    _, problems = read_workspace("dev_config.json", source)
    assert "there is no file 'dev_config.json' beside it" in problems[0].message
    (tmp_path / "configuration" / "dev_config.json").write_text(json.dumps(WORKSPACE))
    found, problems = read_workspace("dev_config.json", source)
    assert problems == []
    assert found is not None
    assert (found.subscription_id, found.resource_group) == (WORKSPACE["AML_SUBSCRIPTION_ID"], "vision")
    (source / "dev_config.json").write_text(json.dumps({"AML_WORKSPACE_NAME": 5}))  # nearer
    _, (problem,) = read_workspace("dev_config.json", source)
    assert problem.message.endswith("needs AML_SUBSCRIPTION_ID, AML_RESOURCE_GROUP, AML_WORKSPACE_NAME, each a text")
    (source / "dev_config.json").write_text("{")
    _, (problem,) = read_workspace("dev_config.json", source)
    assert (problem.path, "line 1" in problem.message) == ("ENV_CONFIG_FILE", True)


@pytest.mark.parametrize("name", ["resnet50", "mask_rcnn_inception_v2_coco", "", "x" * 5000])
def test_a_model_that_is_no_detector_of_the_zoo_or_of_ours_is_refused(name: str) -> None:
    (path,) = told(MODEL_PARAMS={"BASE_MODEL": name})
    assert path == "MODEL_PARAMS.BASE_MODEL"
