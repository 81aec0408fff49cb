from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

from mitorch_service.errors import MissingExtra
from mitorch_service.training.loop.file_reporter import FileReporter
from mitorch_service.training.loop.reporter import NullReporter, TrainingPlan
from tests.samples import a_result


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing import event_accumulator

    read = event_accumulator.EventAccumulator(str(folder / "tensorboard")).Reload()
    return {tag: [(one.step, one.value) for one in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of tensorboard's reader
def test_writes_events_and_curves(tmp_path: Path) -> None:
    with FileReporter(NullReporter(), tmp_path / "plots", earlier=[a_result(1)]) as reporter:
        for epoch in (2, 3):
            reporter.epoch_ended(a_result(epoch, metrics={"mAP": 0.5, "image_true_positives": 12}))
    written = events(tmp_path / "plots")
    assert written["loss/train"] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    assert written["val/mAP"] == [(2, 0.5), (3, 0.5)]
    assert {"loss/val", "training/learning_rate", "training/samples_per_second"} <= written.keys()
    assert reporter.curves.read_bytes()[:4] == b"\x89PNG"


def skip_to_one_digit(folder: Path) -> None:
    """Opens event files until the process's count of them ends in a small digit: TensorBoard sorts the files of one
    second by that count as text, so that 10 comes before 9."""
    from torch.utils.tensorboard import SummaryWriter

    count = 9
    while count % 10 > 3:
        SummaryWriter(folder).close()
        count = max(int(path.name.rpartition(".")[2]) for path in folder.iterdir())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_shows_each_epoch_once(tmp_path: Path) -> None:
    skip_to_one_digit(tmp_path / "unused")

    def losses(*epochs: int, metric: float) -> list[tuple[int, float]]:
        with FileReporter(NullReporter(), tmp_path, earlier=[a_result(1)] if epochs[0] == 2 else []) as reporter:
            for epoch in epochs:
                reporter.epoch_ended(a_result(epoch, metrics={"mAP": metric}))
        return events(tmp_path)["val/mAP"]

    assert losses(1, 2, 3, metric=0.25) == [(1, 0.25), (2, 0.25), (3, 0.25)]
    assert losses(2, 3, metric=0.5) == [(2, 0.5), (3, 0.5)]  # killed, and gone on after the first
    assert losses(1, 2, 3, 2, metric=0.75) == [(1, 0.75), (2, 0.75)]  # another one, set back after its third


def test_the_other_reporter_is_told_and_asked_everything(tmp_path: Path) -> None:
    inner = Mock(spec=NullReporter)
    inner.should_stop.return_value = True
    plan = TrainingPlan(1, 1, 1, 1, 1, 1, "cpu")
    with FileReporter(inner, tmp_path) as reporter:
        reporter.training_started(plan)
        reporter.step_ended(1, 1, 1, 0.5)
        reporter.note("hello")
        assert reporter.should_stop()
    inner.training_started.assert_called_once_with(plan)
    inner.step_ended.assert_called_once_with(1, 1, 1, 0.5)
    inner.note.assert_called_once_with("hello")
    assert not reporter.curves.exists()  # there was no epoch


def test_a_missing_package_is_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mitorch_service.training.loop.file_reporter.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="tensorboard is not installed"):
        FileReporter(NullReporter(), tmp_path)
