"""The functions that searches are measured on: functions of a config, with their spaces and their best values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

CURVES = Path(__file__).parent / "data" / "digits_curves.npz"


class Branin:
    """Two dimensions, three equal minima."""

    space: dict[str, Any] = {"x": {"_uniform": [-5, 10]}, "y": {"_uniform": [0, 15]}}

    def regret(self, config: dict[str, Any]) -> float:
        """Above the minimum."""
        x, y = config["x"], config["y"]
        hill = (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2
        return float(hill + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10 - 0.39788735772973816)


class Hartmann6:
    """Six dimensions, six minima."""

    space: dict[str, Any] = {f"x{i}": {"_uniform": [0, 1]} for i in range(6)}
    _weights = np.array([1.0, 1.2, 3.0, 3.2])
    _widths = np.array(
        [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
    )
    _centres = 1e-4 * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    )

    def regret(self, config: dict[str, Any]) -> float:
        """Above the minimum."""
        x = np.array([config[f"x{i}"] for i in range(6)])
        peaks = np.exp(-(self._widths * (x - self._centres) ** 2).sum(axis=1))
        return 3.322368011391339 - float(self._weights @ peaks)


class Conditional:
    """An optimizer with parameters of its own: adam is a little better where its learning rate is right."""

    space: dict[str, Any] = {
        "lr": {"_loguniform": [1e-5, 1]},
        "optimizer": {
            "_choice": [
                {"name": "sgd", "momentum": {"_uniform": [0, 0.99]}, "nesterov": {"_choice": [True, False]}},
                {"name": "adam", "beta": {"_uniform": [0.5, 0.999]}, "eps": {"_loguniform": [1e-9, 1e-3]}},
            ]
        },
        "depth": {"_int": [1, 8]},
    }

    def regret(self, config: dict[str, Any]) -> float:
        """Above the minimum, which is 0 for adam at lr 1e-3, beta 0.9, eps 1e-7, depth 5."""
        optimizer, rate = config["optimizer"], math.log10(config["lr"])
        depth = 0.02 * (config["depth"] - 5) ** 2
        if optimizer["name"] == "adam":
            spread = 4 * (optimizer["beta"] - 0.9) ** 2 + (math.log10(optimizer["eps"]) + 7) ** 2 / 50
            return float((rate + 3) ** 2 / 4 + spread + depth)
        momentum = (optimizer["momentum"] - 0.8) ** 2 + 0.05 * (not optimizer["nesterov"])
        return float(0.1 + (rate + 1) ** 2 / 4 + momentum + depth)


class Digits:
    """Recorded trainings (tests/benchmarks/data): a suggestion is snapped to the nearest one."""

    target = 0.97
    max_epochs = 27

    def __init__(self) -> None:
        with np.load(CURVES) as data:
            self._accuracy, self._loss = data["acc"], data["ll"]
            self._axes = {name: np.log(data[name]) for name in ("lr", "alpha", "hid", "batch")}
        ends = {name: [round(float(np.exp(axis[end])), 9) for end in (0, -1)] for name, axis in self._axes.items()}
        self.space: dict[str, Any] = {
            "lr": {"_loguniform": ends["lr"]},
            "alpha": {"_loguniform": ends["alpha"]},
            "hid": {"_logint": ends["hid"]},
            "batch": {"_logint": ends["batch"]},
        }

    def regret(self, config: dict[str, Any]) -> float:
        """Returns the regret in the log loss after the last epoch."""
        return float(self._loss[self._cell(config)][-1] - self._loss[..., -1].min())

    def accuracies(self, config: dict[str, Any]) -> list[float]:
        """After each epoch."""
        values: list[float] = self._accuracy[self._cell(config)].tolist()
        return values

    def _cell(self, config: dict[str, Any]) -> tuple[int, ...]:
        return tuple(int(np.abs(axis - math.log(config[name])).argmin()) for name, axis in self._axes.items())


FUNCTIONS: dict[str, Any] = {"branin": Branin, "hartmann6": Hartmann6, "conditional": Conditional, "digits": Digits}
