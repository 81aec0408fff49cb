"""Damaged values within a stored state are told where they are loaded."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mitorch_service.training.state_values import check_moments, count, number


@pytest.mark.parametrize("value", [None, "x", -1, True, 1.0, [], {}, float("nan"), torch.zeros(3)])
def test_what_is_no_count_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="epoch is "):
        count({"epoch": value}, "epoch")


@pytest.mark.parametrize("value", [None, "x", -0.5, True, [], {}, torch.zeros(3)])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="rate is "):
        number({"rate": value}, "rate", least=0)


def test_counts_and_numbers_are_returned() -> None:
    assert (count({"n": 0}, "n"), number({"n": 3}, "n"), number({"n": float("inf")}, "n", 0)) == (0, 3.0, float("inf"))
    with pytest.raises(KeyError):
        count({}, "n")


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_moments_have_the_shapes_of_their_parameters(kind: Any) -> None:
    parameters = [torch.nn.Parameter(torch.ones(2, 3)), torch.nn.Parameter(torch.ones(3))]
    optimizer = kind(parameters, lr=0.1, **({"momentum": 0.9} if kind is torch.optim.SGD else {"amsgrad": True}))
    check_moments(optimizer)
    sum(parameter.sum() for parameter in parameters).backward()  # type: ignore[union-attr]
    optimizer.step()
    check_moments(optimizer)
    moments = optimizer.state[parameters[0]]
    name = next(name for name, value in moments.items() if value.shape == (2, 3))
    for damaged in (torch.zeros(3), torch.zeros(()), "x", 1.0):
        moments[name] = damaged
        with pytest.raises(ValueError, match=f"the optimizer's {name} is "):
            check_moments(optimizer)
    optimizer.state[parameters[0]] = True
    with pytest.raises(ValueError, match="the optimizer's state is True"):
        check_moments(optimizer)
