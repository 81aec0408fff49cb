"""Weights files: ours, plain ones, those of other programs, and damaged ones."""

from __future__ import annotations

import argparse
import io
import os
import random
import warnings
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from timm.utils.checkpoint_saver import CheckpointSaver
from timm.utils.model_ema import ModelEmaV3
from torch import nn

from mitorch_service.errors import ArtifactError, ModelError
from mitorch_service.models.weights_metadata import Preprocessing, WeightsMetadata
from mitorch_service.training.networks.fitting import load_all, load_fitting
from mitorch_service.training.networks.weights import cpu_state_dict, read_weights, save_weights


def network(classes: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, classes))


def test_round_trip(tmp_path: Path) -> None:
    saved, other = network(), network()
    save_weights(cpu_state_dict(saved), tmp_path / "model.pth")
    assert [file.name for file in tmp_path.iterdir()] == ["model.pth"]
    load_all(other, read_weights(tmp_path / "model.pth").state_dict, "model.pth")
    for name, tensor in saved.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)


def test_the_copy_does_not_follow_the_training() -> None:
    module = network()
    copy = cpu_state_dict(module)
    with torch.no_grad():
        module.get_parameter("0.weight").add_(1)
    assert not torch.equal(copy["0.weight"], module.state_dict()["0.weight"])


def test_reads_a_checkpoint_of_ddp(tmp_path: Path) -> None:
    weights = {f"module.{name}": tensor for name, tensor in network().state_dict().items()}
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "checkpoint.pth")
    assert set(read_weights(tmp_path / "checkpoint.pth").state_dict) == set(network().state_dict())


METADATA = WeightsMetadata(
    task_type="multiclass_classification",
    classes=("猫", "dog", ""),
    config={"model": {"name": "n", "options": {"drop_rate": 0.1}}, "max_epochs": 3},
    preprocessing=Preprocessing(
        input_size=32, transforms=[{"name": "resize", "options": {}}], mean=(0.1, 0.2, 0.3), std=(1, 2, 3)
    ),
)


def test_metadata_stand_beside_the_weights(tmp_path: Path) -> None:
    module = network()
    save_weights(cpu_state_dict(module), tmp_path / "m.pth", METADATA)
    content = torch.load(tmp_path / "m.pth", weights_only=True)
    module.load_state_dict(content["state_dict"])  # any PyTorch program can
    assert (content["mitorch_service"], content["classes"]) == (1, ["猫", "dog", ""])
    assert content["preprocessing"]["mean"] == [0.1, 0.2, 0.3]
    read = read_weights(tmp_path / "m.pth")
    assert (read.metadata, read.key) == (METADATA, None)
    assert read.state_dict.keys() == module.state_dict().keys()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": 3}, "its classes cannot be read"),
        ({"preprocessing": {}}, r"its preprocessing\.input_size cannot be read"),
        ({"mitorch_service": 99}, r"is of a newer format \(99\)"),
        ({"mitorch_service": "x"}, "newer format"),
        ({"state_dict": {}}, "contains no state_dict"),
    ],
)
def test_metadata_that_cannot_be_read(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    save_weights(network().state_dict(), tmp_path / "m.pth", METADATA)
    torch.save({**torch.load(tmp_path / "m.pth", weights_only=True), **change}, tmp_path / "m.pth")
    with pytest.raises(ModelError, match=words):
        read_weights(tmp_path / "m.pth")


def prefixed(prefix: str, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    return {**{f"{prefix}{name}": tensor for name, tensor in SAVED.state_dict().items()}, **more}


SAVED = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
OTHER = {name: tensor + 1 for name, tensor in SAVED.state_dict().items()}
ARGUMENTS = argparse.Namespace(lr=0.1, output=PurePosixPath("out"), resume=None, opt_betas=[0.9, 0.99])
CHECKPOINTS: dict[str, tuple[object, str | None]] = {
    "timm": ({"epoch": 3, "arch": "x", "state_dict": OTHER, "args": ARGUMENTS, "state_dict_ema": prefixed(""),
              "metric": np.float64(77.5), "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}}, "state_dict_ema"),
    "torchvision": ({"model": prefixed(""), "args": ARGUMENTS, "epoch": 1, "scaler": {}}, "model"),
    "torchvision with ema": (
        {"model": OTHER, "model_ema": prefixed("module.", n_averaged=torch.tensor(3))}, "model_ema"),
    "compiled": (prefixed("_orig_mod."), None),
    "compiled in ddp": (prefixed("module._orig_mod."), None),
    "lightning": ({"state_dict": prefixed("model.", **{"criterion.weight": torch.ones(3)}),
                   "pytorch-lightning_version": "2.4", "hyper_parameters": {"args": ARGUMENTS}}, "state_dict"),
    "lightning, twice": ({"state_dict": prefixed("model.net.")}, "state_dict"),
    "lightning with an average": ({"state_dict": {**prefixed("ema_model."), **{
        f"model.{name}": tensor for name, tensor in OTHER.items()}}}, "state_dict"),
    "by another name": ({"network": prefixed(""), "epoch": 3, "args": {"lr": 0.1}}, "network"),
    "numpy in the arguments": ({"model": prefixed(""), "best": np.float32(3), "n": np.int64(7)}, "model"),
}  # fmt: skip


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_weights_of_others(tmp_path: Path, name: str, legacy: bool) -> None:
    content, key = CHECKPOINTS[name]
    torch.save(content, tmp_path / "c.pth", _use_new_zipfile_serialization=not legacy)
    read, module = read_weights(tmp_path / "c.pth"), network()
    assert (read.key, read.metadata) == (key, None)
    load_all(module, read.state_dict, "c.pth")
    assert all(torch.equal(tensor, SAVED.state_dict()[one]) for one, tensor in module.state_dict().items())


def test_safetensors(tmp_path: Path) -> None:
    """Whatever the file is called."""
    save_file(prefixed("model."), tmp_path / "m.pth")
    read, module = read_weights(tmp_path / "m.pth"), network()
    load_all(module, read.state_dict, "m.pth")
    assert all(torch.equal(tensor, SAVED.state_dict()[one]) for one, tensor in module.state_dict().items())
    (tmp_path / "m.pth").write_bytes((tmp_path / "m.pth").read_bytes()[:-9])
    with pytest.raises(ModelError, match=r"it is damaged .*incomplete"):
        read_weights(tmp_path / "m.pth")


def test_takes_what_fits_and_says_what_does_not() -> None:
    weights = network(classes=10).state_dict()
    del weights["0.bias"]
    weights["extra"] = torch.zeros(1)
    module = network()
    fit = load_fitting(module, weights, "base")
    assert torch.equal(module.state_dict()["0.weight"], weights["0.weight"])
    assert (fit.loaded, fit.missing, fit.unexpected) == (6, ["0.bias"], ["extra"])
    assert fit.wrong_shape == [
        "2.weight (10, 5) in the file, (3, 5) in the network",
        "2.bias (10,) in the file, (3,) in the network",
    ]
    assert str(fit).startswith(
        "6 tensors loaded; 1 not in the file (0.bias); 1 not in the network (extra); 2 of another"
    )


def test_refuses_when_nothing_fits() -> None:
    with pytest.raises(ModelError, match="None of the weights in base fits the network"):
        load_fitting(network(), {"a": torch.zeros(1)}, "base")


def test_evaluation_needs_all() -> None:
    with pytest.raises(ModelError, match=r"not those of this config and data set: .*2\.bias"):
        load_all(network(), network(classes=4).state_dict(), "m.pth")


@pytest.mark.parametrize("content", [b"", b"hello", b'{"a": 1}', b"PK\x03\x04", b"\x80\x04\x95", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_holds_no_weights(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.pth").write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.pth is not a PyTorch weights file, or it is damaged"):
        read_weights(tmp_path / "m.pth")


def test_a_damaged_weights_file(tmp_path: Path) -> None:
    save_weights(network().state_dict(), tmp_path / "m.pth")
    (tmp_path / "m.pth").write_bytes((tmp_path / "m.pth").read_bytes()[:-200])
    with pytest.raises(ModelError, match="damaged"):
        read_weights(tmp_path / "m.pth")


class _Call:
    def __reduce__(self) -> tuple[object, ...]:
        return os.getcwd, ()


@pytest.mark.parametrize("sums", [True, False])
def test_a_flipped_bit_in_a_tensor_is_told(tmp_path: Path, sums: bool) -> None:
    file = tmp_path / "model.pth"
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(sums)
    try:
        torch.save({"weight": torch.ones(1000)}, file)
    finally:
        torch.serialization.set_crc32_options(before)
    content = file.read_bytes()
    where = content.index(torch.ones(1000).numpy().tobytes()) + 2000
    file.write_bytes(content[:where] + bytes([content[where] ^ 1]) + content[where + 1 :])
    if sums:
        with pytest.raises(ModelError, match=r"model\.pth is damaged: its record model/data/0 is not .* Copy it again"):
            read_weights(file)
    else:
        assert not torch.equal(read_weights(file).state_dict["weight"], torch.ones(1000))


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "m.pth")  # a pickled module, not its weights
    with pytest.raises(ModelError, match="not a PyTorch weights file") as caught:
        read_weights(tmp_path / "m.pth")
    assert "GLOBAL torch.nn.modules.container.Sequential" in str(caught.value)  # torch's own reason
    torch.save({"state_dict": {}, "args": _Call()}, tmp_path / "m.pth")
    with pytest.raises(ModelError, match=r"without running code from it \(unsupported GLOBAL posix\.getcwd\)"):
        read_weights(tmp_path / "m.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # TorchScript is deprecated, but its files are about
        torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "m.pth"))  # type: ignore[no-untyped-call]
    with pytest.raises(ModelError, match=r"not a PyTorch weights file.*TorchScript"):
        read_weights(tmp_path / "m.pth")


def test_a_checkpoint_that_timm_has_written(tmp_path: Path) -> None:
    module = network()
    optimizer, average = torch.optim.SGD(module.parameters(), 0.1, 0.9), ModelEmaV3(SAVED)
    arguments = argparse.Namespace(model="x", lr=0.1, output=str(tmp_path))
    saver = CheckpointSaver(module, optimizer, arguments, average, checkpoint_dir=str(tmp_path))
    saver.save_checkpoint(3, metric=77.5)
    read = read_weights(tmp_path / "last.pth.tar")
    assert read.key == "state_dict_ema"
    load_all(module, read.state_dict, "last.pth.tar")
    assert torch.equal(module.state_dict()["2.weight"], SAVED.state_dict()["2.weight"])


@pytest.mark.parametrize("legacy", [False, True])
def test_any_damage_is_told(tmp_path: Path, legacy: bool) -> None:
    """Whatever byte is wrong, wherever it is cut: the weights are read or refused."""
    buffer = io.BytesIO()
    torch.save({"state_dict": network().state_dict()}, buffer, _use_new_zipfile_serialization=not legacy)
    whole, numbers = buffer.getvalue(), random.Random(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(numbers.randint(1, 4)):
            damaged[numbers.randrange(min(len(whole), 2500))] = numbers.randrange(256)
        if numbers.random() < 0.3:
            del damaged[numbers.randrange(len(whole)) :]
        try:
            (tmp_path / "m.pth").write_bytes(damaged)
            read_weights(tmp_path / "m.pth")
        except ModelError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(2)])
def test_a_file_of_something_else(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "m.pth")
    with pytest.raises(ModelError, match="contains no state_dict"):
        read_weights(tmp_path / "m.pth")


def test_a_checkpoint_without_weights_names_its_entries(tmp_path: Path) -> None:
    torch.save({"teacher": prefixed("a."), "student": prefixed("b."), "epoch": 3}, tmp_path / "m.pth")
    with pytest.raises(ModelError, match=r"no state_dict \(names with tensors\), but teacher, student, epoch"):
        read_weights(tmp_path / "m.pth")


def test_a_path_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        read_weights(tmp_path / "m.pth")
    with pytest.raises(ModelError, match="cannot be read"):
        read_weights(tmp_path)
    with pytest.raises(ArtifactError, match="cannot be written"):
        save_weights(network().state_dict(), tmp_path / "absent" / "m.pth")
    assert list(tmp_path.iterdir()) == []
