from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from mitorch_service.errors import ArtifactError, ModelError
from mitorch_service.training.networks.weights import cpu_state_dict, load_all, load_fitting, read_weights, save_weights


def network(classes: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, classes))


def test_round_trip(tmp_path: Path) -> None:
    saved, other = network(), network()
    save_weights(cpu_state_dict(saved), tmp_path / "model.pth")
    assert [file.name for file in tmp_path.iterdir()] == ["model.pth"]
    load_all(other, read_weights(tmp_path / "model.pth"), "model.pth")
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
    assert set(read_weights(tmp_path / "checkpoint.pth")) == set(network().state_dict())


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


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "m.pth")  # a pickled module, not its weights
    with pytest.raises(ModelError, match="not a PyTorch weights file"):
        read_weights(tmp_path / "m.pth")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(2)])
def test_a_file_of_something_else(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "m.pth")
    with pytest.raises(ModelError, match="contains no state_dict"):
        read_weights(tmp_path / "m.pth")


def test_a_path_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        read_weights(tmp_path / "m.pth")
    with pytest.raises(ModelError, match="cannot be read"):
        read_weights(tmp_path)
    with pytest.raises(ArtifactError, match="cannot be written"):
        save_weights(network().state_dict(), tmp_path / "absent" / "m.pth")
    assert list(tmp_path.iterdir()) == []
