"""The short form of scripts/vision_loop: all its commands, on a few pictures."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import Machine
from tests.cvat_server.server import PASSWORD, USER, cvat_server
from tests.vision_loop import CONFIG, Sizes, VisionLoop


@pytest.mark.long
def test_what_a_detector_annotated_is_corrected_and_trained_on(bare_machine: Machine) -> None:
    machine = bare_machine
    with cvat_server() as cvat:
        machine.environment |= {"MITORCH_CVAT_URL": cvat.url, "MITORCH_CVAT_AUTH": f"{USER}:{PASSWORD}"}
        config = CONFIG | {"max_epochs": 1, "num_workers": 0, "eval_confidence": 0.05}
        loop = VisionLoop(machine.folder, machine.ok, cvat, Sizes(half=12, test=4), config)
        gain = loop.go()
        assert cvat.count("GET /download") == 3
    assert gain.before.keys() == gain.after.keys() >= {"test_mAP", "test_loss"}
    assert gain.before != gain.after
    boxes = {len(task.shapes) for task in cvat.tasks.values()}
    true = sum(gain.corrections[what] for what in ("right", "moved", "drawn"))
    assert true in boxes
    shown = machine.ok("dataset", "show", "shapes")
    assert "field 1" in shown
    assert "field 2" in shown
