"""The exp_config.json of the original's documentation, and small use cases as its storage keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.unit.training.shapes import SHAPES, draw_shapes

EXP_CONFIG: dict[str, Any] = {
    "ENV_CONFIG_FILE": "dev_config.json",
    "DESCRIPTION": "Test training workflow",
    "EXP_NAME": "pothole",
    "COMPUTE_NAME": "test",
    "DOCKER_IMAGE": "csaddevamlacr.azurecr.io/tfod_tf2:latest",
    "DATA_MOUNT": "test_data",
    "IMAGE_TYPE": "pothole",
    "TRAIN_CSV": "latest",
    "TEST_CSV": "latest",
    "EVAL_CONF": 0.5,
    "RUN_PARAMS": {"STEPS": 1000},
    "MODEL_PARAMS": {
        "BASE_MODEL": "faster_rcnn_resnet101_coco_2018_01_28",
        "FIRST_STAGE": {
            "STRIDE": 16,
            "NMS_IOU_THRESHOLD": 0.5,
            "NMS_SCORE_THRESHOLD": 0.0,
            "MAX_PROPOSALS": 200,
            "LOCALIZATION_LOSS_WEIGHT": 2.0,
            "OBJECTNESS_LOSS_WEIGHT": 1.0,
        },
    },
    "HYPERTUNE": False,
    "NODES": 3,
}
WORKSPACE = {
    "AML_TENANT_ID": "00000000-0000-0000-0000-000000000001",
    "AML_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000002",
    "AML_RESOURCE_GROUP": "vision",
    "AML_WORKSPACE_NAME": "dev",
}
_HEADER = "filename,class,xmin,ymin,xmax,ymax"


def use_case_files(folder: Path, images: int = 4) -> tuple[dict[str, bytes], list[str]]:
    """Returns pictures by name, and the lines of a version that has them all; every fifth picture shows nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, bytes] = {}
    lines = [_HEADER]
    for index, drawing in enumerate(draw_shapes(images)):
        name = f"{index}.png"
        drawing.image.save(folder / name)
        pictures[name] = (folder / name).read_bytes()
        rows = [
            f"{name},{SHAPES[label]},{','.join(map(str, box))}"
            for label, box in zip(drawing.labels, drawing.boxes, strict=True)
        ]
        lines += rows or [f"{name},,,,,"]
    return pictures, lines


def write_use_case(mount: Path, *stamps: str, use_case: str = "pothole") -> None:
    """Writes a use case with a train and a test file for each stamp, of the same pictures."""
    _, lines = use_case_files(mount / use_case / "images")
    versions = mount / use_case / "datasets"
    versions.mkdir(parents=True, exist_ok=True)
    for stamp in stamps:
        for kind in ("train", "test"):
            (versions / f"{kind}_{use_case}_{stamp}.csv").write_text("\n".join(lines) + "\n")
