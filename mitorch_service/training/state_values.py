"""Values within the stored state of a training, checked where they are loaded: a damaged one raises ValueError there,
and not steps later."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, optim

_MOMENTS = ("momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "square_avg", "grad_avg")


def count(state: Mapping[str, Any], name: str) -> int:
    """Returns a whole number from 0. Raises ValueError, KeyError."""
    value = state[name]
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is {_shown(value)}")
    return value


def number(state: Mapping[str, Any], name: str, least: float = -math.inf) -> float:
    """Returns a number from `least`; of sums and losses also infinite or nan. Raises ValueError, KeyError."""
    value = state[name]
    if type(value) not in (int, float) or value < least:
        raise ValueError(f"{name} is {_shown(value)}")
    return float(value)


def check_moments(optimizer: optim.Optimizer) -> None:
    """Checks what an optimizer has loaded: values by name for each parameter and, of PyTorch's own, moments of its
    shape. Raises ValueError."""
    known = type(optimizer).__module__.startswith("torch.optim")
    for parameter, values in optimizer.state.items():
        if not isinstance(values, Mapping):
            raise ValueError(f"the optimizer's state is {_shown(values)}")
        for name in _MOMENTS if known else ():
            moment = values.get(name)
            if moment is not None and (not isinstance(moment, Tensor) or moment.shape != parameter.shape):
                raise ValueError(f"the optimizer's {name} is {_shown(moment)}")


def _shown(value: object) -> str:
    return f"a tensor of {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)[:40]
