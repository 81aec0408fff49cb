"""The training and job configs that exp_config.json becomes."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.interop.exp_config.base_models import nearest_model, zoo_table
from mitorch_service.interop.exp_config.exp_config_file import ExpConfig, read_exp_config
from mitorch_service.interop.exp_config.run_place import choose_place
from mitorch_service.interop.exp_config.training_configs import Place, run_tags, training_config, unused_keys
from mitorch_service.interop.exp_config.workspace_file import WorkspaceFile
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.config.validation import check
from mitorch_service.models.labels import tag_problems
from mitorch_service.models.search.job import JobConfig
from mitorch_service.search.space.size import size
from mitorch_service.search.space.space import parse_space
from mitorch_service.settings import read_settings
from mitorch_service.training.loop.config_check import check_names
from mitorch_service.training.networks.model_names import DETECTION, unknown_model_problem
from tests.documents import ROOT
from tests.exp_configs import EXP_CONFIG


def read(**changes: Any) -> ExpConfig:
    file, problems = read_exp_config({**EXP_CONFIG, **changes})
    assert problems == []
    assert file is not None
    return file.settings


def a_model(name: str, **first_stage: Any) -> dict[str, Any]:
    return {"BASE_MODEL": name, "FIRST_STAGE": first_stage}


def a_cluster(name: str, **fields: Any) -> AzureMLCluster:
    where = {"subscription_id": "s", "resource_group": "g", "workspace": "w"}
    return AzureMLCluster.model_validate({"name": name, "kind": "azureml", **where, **fields})


def test_a_run_of_faster_rcnn() -> None:
    written = training_config(read(), Place("gpu", "test"))
    config, problems = check(TrainingConfig, written)
    assert (problems, check_names(written)) == ([], [])
    assert config is not None
    assert (config.max_steps, config.eval_every, config.eval_confidence) == (1000, 100, 0.5)
    assert config.model.name == "resnet101-fpn-fasterrcnn"
    assert config.model.options == {
        "feature_stride": 16,
        "rpn_nms_thresh": 0.5,
        "rpn_score_thresh": 0.0,
        "rpn_max_proposals": 200,
        "rpn_localization_loss_weight": 2.0,
        "rpn_objectness_loss_weight": 1.0,
    }
    assert config.resources is not None
    assert config.resources.model_dump(exclude_unset=True) == {
        "cluster": ["gpu"],
        "compute": "test",
        "image": "csaddevamlacr.azurecr.io/tfod_tf2:latest",
        "experiment": "pothole",
    }


def test_a_search_draws_what_the_original_does_and_of_other_models_the_rate() -> None:
    written = training_config(read(HYPERTUNE=True), Place())
    job, problems = check(JobConfig, written)
    assert problems == []
    assert job is not None
    assert (job.search.max_trials, job.search.max_concurrent, job.search.objective) == (3, 3, "val_loss")
    assert job.search.early_stopping is not None and job.search.direction == "minimize"
    space, broken = parse_space(job.config)
    assert (size(space), broken) == (9, [])
    one_stage = training_config(read(HYPERTUNE=True, MODEL_PARAMS=a_model("ssd_mobilenet_v2_coco")), Place())
    space, broken = parse_space(one_stage["config"])  # type: ignore[arg-type]
    assert [one.name for one in space.parameters] == ["optimizer.weight_decay", "lr_scheduler.base_lr"]
    assert broken == []


@pytest.mark.parametrize(("steps", "every", "warmup"), [(1, 1, 0), (50, 50, 5), (1000, 100, 100), (50_000, 2500, 500)])
def test_results_come_every_hundred_steps_or_twenty_times(steps: int, every: int, warmup: int) -> None:
    config, _ = check(TrainingConfig, training_config(read(RUN_PARAMS={"STEPS": steps}), Place()))
    assert config is not None
    assert (config.eval_every, config.lr_scheduler.warmup_steps) == (every, warmup)


def test_a_patch_changes_the_config() -> None:
    config, _ = check(TrainingConfig, training_config(read(config={"batch_size": 7, "resources": None}), Place()))
    assert config is not None
    assert (config.batch_size, config.resources) == (7, None)


@pytest.mark.parametrize(
    ("base_model", "name", "input_size"),
    [
        ("faster_rcnn_resnet50_coco_2018_01_28", "resnet50-fpn-fasterrcnn", 1024),
        ("faster_rcnn_resnet152_v1_800x1333_coco17_gpu-8", "resnet152-fpn-fasterrcnn", 1333),
        ("faster_rcnn_inception_v2_coco_2018_01_28", "inception_v3-fpn-fasterrcnn", 1024),
        (
            "faster_rcnn_inception_resnet_v2_atrous_lowproposals_oid_2018_01_28",
            "inception_resnet_v2-fpn-fasterrcnn",
            1024,
        ),
        ("rfcn_resnet101_coco_2018_01_28", "resnet101-fpn-fasterrcnn", 1024),
        ("ssd_mobilenet_v1_0.75_depth_300x300_coco14_sync_2018_07_03", "mobilenet_v2-ssdlite", 300),
        ("ssd_mobilenet_v2_320x320_coco17_tpu-8", "mobilenet_v2-ssdlite", 320),
        ("ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8", "mobilenet_v2-fpn-retinanet", 640),
        ("ssd_resnet101_v1_fpn_1024x1024_coco17_tpu-8", "resnet101-fpn-retinanet", 1024),
        ("SSDLite_MobileNet_V2_COCO_2018_05_09", "mobilenet_v2-ssdlite", 320),
        ("efficientdet_d3_coco17_tpu-32", "efficientnet_b3-fpn-retinanet", 896),
        ("centernet_resnet50_v1_fpn_512x512_coco17_tpu-8", "resnet50-fpn-fcos", 512),
        ("resnet18-fpn-fasterrcnn", "resnet18-fpn-fasterrcnn", 1024),
        ("fasterrcnn_resnet50_fpn_v2", "resnet50-fpn_v2-fasterrcnn", 1024),
    ],
)
def test_models_of_the_zoo_have_a_counterpart(base_model: str, name: str, input_size: int) -> None:
    found = nearest_model(base_model)
    assert found is not None
    assert (found.name, found.input_size) == (name, input_size)


@pytest.mark.parametrize(
    "name", ["faster_rcnn_nas_coco", "mask_rcnn_resnet101", "centernet_hourglass_512x512", "ssd_resnet50", "yolo", "-"]
)
def test_others_have_none(name: str) -> None:
    assert nearest_model(name) is None


def test_the_table_of_the_document_is_the_one_that_is_used() -> None:
    page = (ROOT / "docs" / "exp_config.md").read_text("utf-8")
    for begin, model in zoo_table().items():
        assert unknown_model_problem(model.name, DETECTION) is None
        assert f"| `{begin}…` | `{model.name}` | {model.input_size} | {model.batch_size} |" in page


def test_tags_are_those_of_the_original_and_always_ones_that_can_be_stored() -> None:
    assert run_tags(read(), "a.csv", "b.csv") == (
        "Description=Test training workflow",
        "Train Set=a.csv",
        "Test Set=b.csv",
        "Base model=faster_rcnn_resnet101_coco_2018_01_28",
        "Steps=1000",
    )
    assert list(tag_problems(run_tags(read(DESCRIPTION="é\n\x00" * 300), "a", "b"))) == []
    assert run_tags(read(DESCRIPTION=" \n"), "a", "b")[0] == "Train Set=a"


def test_a_model_of_one_stage_has_no_first_one() -> None:
    assert unused_keys(read()) == []
    asked = read(MODEL_PARAMS=a_model("ssd_mobilenet_v2_coco", STRIDE=16))
    assert unused_keys(asked) == ["MODEL_PARAMS.FIRST_STAGE.STRIDE"]
    assert training_config(asked, Place())["model"]["options"] == {}  # type: ignore[index,call-overload]


WORKSPACE = WorkspaceFile("S", "G", "W")  # Azure does not distinguish case


@pytest.mark.parametrize(
    ("clusters", "place", "creates"),
    [
        ([a_cluster("test")], Place("test"), True),
        ([a_cluster("gpu", compute="test")], Place("gpu"), True),
        ([a_cluster("test", create={"vm_size": "x", "max_nodes": 1})], Place("test"), False),
        ([a_cluster("gpu"), a_cluster("far", workspace="other")], Place("gpu", "test"), True),
        ([LocalCluster(name="test"), a_cluster("far", workspace="other")], Place("test"), False),
        ([LocalCluster(name="local")], Place(), False),
    ],
)
def test_the_compute_is_a_cluster_of_ours_or_another_one_of_the_workspace(
    clusters: list[Any], place: Place, creates: bool
) -> None:
    chosen, problems = choose_place(read(), WORKSPACE, clusters, local_data=True)
    assert problems == []
    assert chosen is not None
    assert (chosen.place, chosen.may_create) == (place, creates)


def test_without_any_cluster_the_line_to_run_is_told() -> None:
    here = [LocalCluster(name="local")]
    _, (problem,) = choose_place(read(), WORKSPACE, here, local_data=False, clusters_given=False)
    words = shlex.split(problem.message.partition("misubmit again: ")[2])
    name, _, clusters = words[1].partition("=")
    found = read_settings({name: clusters}).clusters
    chosen, problems = choose_place(read(), WORKSPACE, found, local_data=False)
    assert (words[0], problems) == ("export", [])
    assert chosen is not None and chosen.azure is not None
    assert chosen.azure.create is not None and chosen.azure.create.max_nodes == read().NODES


def test_a_workspace_without_a_cluster_is_told_with_the_entry_to_add() -> None:
    _, (problem,) = choose_place(read(), WORKSPACE, [a_cluster("far", workspace="other")], local_data=False)
    assert problem.path == "COMPUTE_NAME"
    entry = problem.message.partition("add to MITORCH_CLUSTERS ")[2]
    assert AzureMLCluster.model_validate_json(entry).create is not None
    several = [a_cluster("a"), a_cluster("b", workspace="v")]
    _, (problem,) = choose_place(read(), None, several, local_data=False)
    assert problem.path == "ENV_CONFIG_FILE"
    _, (problem,) = choose_place(read(), None, [LocalCluster(name="local")], local_data=False)
    assert problem.path == "COMPUTE_NAME"
